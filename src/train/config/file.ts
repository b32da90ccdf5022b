/** @file Reads a configuration file: `sleuth.config.ts` (or .js, .mjs) with a default export, or JSON. */
import { existsSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { UserError } from "../../errors.js";
import { requireRegular } from "../../files/regular.js";
import { readRequiredJson } from "../../files/json-file.js";
import type { ConfigInput } from "./config.js";

/** Names (of code, but for the last) that are looked for when no file is given, in this order. */
const defaultNames = ["sleuth.config.ts", "sleuth.config.js", "sleuth.config.mjs", "sleuth.config.json"];

/** The configuration file of a folder, or undefined when it has none. */
export function findConfigFile(folder = process.cwd()): string | undefined {
  return defaultNames.map((name) => path.join(folder, name)).find((file) => existsSync(file));
}

/**
 * Reads a configuration file; `parseConfig` checks what it holds.
 * @throws UserError when the file is missing, does not run or does not export a configuration
 */
export async function loadConfig(file: string): Promise<ConfigInput> {
  const absolute = path.resolve(file);
  if (!existsSync(absolute)) {
    throw new UserError(`${file} does not exist. Give the path of a sleuth.config.ts or a JSON file with --config.`);
  }
  await requireRegular(absolute);
  const config = absolute.endsWith(".json") ? await readJson(absolute) : await importDefault(absolute);
  if (typeof config !== "object" || config === null) {
    throw new UserError(
      `${file} exports no configuration. Write: export default defineConfig({ train: { steps: 20 } });`,
    );
  }
  return config;
}

async function readJson(file: string): Promise<unknown> {
  return readRequiredJson(file, "Write a JSON object of groups such as train and search.");
}

/** TypeScript runs through tsx, as everywhere in Sleuth: Node 20 cannot read types by itself. */
async function importDefault(file: string): Promise<unknown> {
  try {
    const url = pathToFileURL(file).href;
    const namespace = file.endsWith(".ts")
      ? ((await (await import("tsx/esm/api")).tsImport(url, import.meta.url)) as Record<string, unknown>)
      : ((await import(url)) as Record<string, unknown>);
    // Without "type": "module" near it, the file becomes CommonJS and its own default stands inside another one.
    const exported = namespace.default as { __esModule?: boolean; default?: unknown } | undefined;
    return exported?.__esModule === true ? exported.default : exported;
  } catch (cause) {
    throw new UserError(`${file} does not run: ${(cause as Error).message}`, { cause });
  }
}
