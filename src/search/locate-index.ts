/**
 * @file Where an engine's index lies: `sleuth index --engine bm25,dense --out FOLDER` makes FOLDER/bm25 and FOLDER/dense, and a single
 * engine's index is FOLDER itself. Both are named by FOLDER.
 */
import { readFile, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { UserError } from "../errors.js";

/** Engines that search a folder of this machine. */
export const indexedEngines = ["bm25", "dense", "lancedb"] as const;
export type IndexedEngine = (typeof indexedEngines)[number];

/** What the manifest of an index says that it is. */
const formats: Readonly<Record<string, IndexedEngine>> = { "sleuth-bm25": "bm25", "sleuth-dense": "dense" };

/**
 * The folder of an engine's index: the engine's own inside `folder`, else `folder`. Addresses of object storage are taken as they are, and
 * so is a folder that is missing or holds no index at all: what is wrong with it, the engine says best.
 * @throws UserError when the folder holds indexes of other engines only
 */
export async function locateIndex(folder: string, engine: IndexedEngine): Promise<string> {
  if (/^[a-z][a-z0-9+.-]+:\/\//i.test(folder)) return folder;
  const inside = join(folder, engine);
  if (await isFolder(inside)) return inside;
  const own = await engineOf(folder);
  if (own === engine) return folder;
  const others = own === undefined ? await enginesIn(folder) : [own];
  if (others.length === 0) return folder;
  throw new UserError(
    `${folder} holds no index for ${engine}, but ${others.length === 1 ? "one" : "some"} for ${others.join(" and ")}. Search with --engine ${others.join(",")}, or make one with \`sleuth index CORPUS.jsonl --engine ${engine} --out FOLDER\`.`,
  );
}

/** The engine whose index a folder is, or undefined. */
export async function engineOf(folder: string): Promise<IndexedEngine | undefined> {
  try {
    const { format } = JSON.parse(await readFile(join(folder, "index.json"), "utf8")) as { format?: unknown };
    if (typeof format === "string") return formats[format];
  } catch {
    // No manifest, or an unreadable one.
  }
  const names = await readdir(folder).catch(() => []);
  return names.some((name) => name.endsWith(".lance")) ? "lancedb" : undefined;
}

/** The engines that have a folder of their own in a folder. */
export async function enginesIn(folder: string): Promise<IndexedEngine[]> {
  const found: IndexedEngine[] = [];
  for (const engine of indexedEngines) if (await isFolder(join(folder, engine))) found.push(engine);
  return found;
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (info) => info.isDirectory(),
    () => false,
  );
}
