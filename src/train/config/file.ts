/** @file Reads a configuration file: `sleuth.config.ts` (or .js, .mjs) with a default export, or JSON. */
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
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

async function importDefault(file: string): Promise<unknown> {
  try {
    const namespace = await importCode(file);
    // Without "type": "module" near it, the file becomes CommonJS and its own default stands inside another one.
    const exported = namespace.default as { __esModule?: boolean; default?: unknown } | undefined;
    return exported?.__esModule === true ? exported.default : exported;
  } catch (cause) {
    throw new UserError(`${file} does not run: ${(cause as Error).message}`, { cause });
  }
}

type Namespace = Record<string, unknown>;

/** TypeScript runs through tsx, as everywhere in Sleuth: Node 20 cannot read types by itself. */
async function importCode(file: string): Promise<Namespace> {
  const url = pathToFileURL(file).href;
  const { tsImport } = await import("tsx/esm/api");
  const throughTsx = async (tsconfig?: string): Promise<Namespace> =>
    (await tsImport(url, { parentURL: import.meta.url, ...(tsconfig !== undefined && { tsconfig }) })) as Namespace;
  try {
    return /\.[cm]?ts$/.test(file) ? await throughTsx() : ((await import(url)) as Namespace);
  } catch (error) {
    if (!new RegExp(`^Cannot find (?:module|package) '${ownName}'`).test((error as Error).message)) throw error;
    return withOwnPackage(throughTsx);
  }
}

const ownName = "sleuth-rl";

/**
 * Calls `use` while `sleuth-rl` means, to tsx, the Sleuth that runs: for a file in whose folder it is not installed (`npx`, a global installation,
 * a folder beside a clone). A module under that name hands on what this package exports.
 */
async function withOwnPackage(use: (tsconfig: string) => Promise<Namespace>): Promise<Namespace> {
  const exported = (await import(new URL("../../index.js", import.meta.url).href)) as Namespace;
  const folder = await mkdtemp(path.join(os.tmpdir(), "sleuth-own-"));
  const tsconfig = path.join(folder, "tsconfig.json");
  const key = Symbol.for(ownName);
  const before = process.env.TSX_TSCONFIG_PATH;
  // Named one by one: importers see only names that stand in the text.
  const lines = Object.keys(exported).map((name) => `exports.${name} = own.${name};`);
  const source = [`const own = globalThis[Symbol.for("${ownName}")];`, ...lines].join("\n");
  try {
    await writeFile(path.join(folder, "own.cjs"), source);
    await writeFile(tsconfig, JSON.stringify({ compilerOptions: { paths: { [ownName]: ["./own.cjs"] } } }));
    Object.assign(globalThis, { [key]: exported });
    // CommonJS modules look it up there.
    process.env.TSX_TSCONFIG_PATH = tsconfig;
    return await use(tsconfig);
  } finally {
    if (before === undefined) delete process.env.TSX_TSCONFIG_PATH;
    else process.env.TSX_TSCONFIG_PATH = before;
    Reflect.deleteProperty(globalThis, key);
    await rm(folder, { recursive: true, force: true });
  }
}
