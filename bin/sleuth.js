#!/usr/bin/env node
/** @file The `sleuth` command. In a clone it first installs and builds what is missing; the package ships without scripts/. */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const builder = join(dirname(dirname(fileURLToPath(import.meta.url))), "scripts", "ensure-built.mjs");
if (existsSync(builder)) (await import(pathToFileURL(builder).href)).ensureBuilt();
const { main } = await import("../dist/cli/main.js");
await main(process.argv.slice(2));
