/** @file What makes an engine's answers: two openings with the same identity give the same ones. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile, readdir, stat } from "node:fs/promises";
import path from "node:path";
import type { EngineName } from "../engine-names.js";
import type { SearchEngine } from "../engine.js";
import type { EngineContext, EngineSettings } from "../open-engine.js";

/** Files that come and go while an index is worked on. */
const passing = /lock|\.tmp$|^building/;

/** Engines that search an index folder, or the passages of the context. */
const withIndex: readonly EngineName[] = ["bm25", "dense", "lancedb", "random"];

/**
 * A hash of the engines, of what they search and of the settings that change what they find; of keys and of where time and money go,
 * nothing. A folder is known by its contents, so it may be moved, and an index that has changed has other answers. What a server holds
 * cannot be seen from here: where it changes, search.cacheMode=refresh asks anew.
 */
export async function identityOf(
  settings: EngineSettings,
  names: readonly EngineName[],
  context: Pick<EngineContext, "passages">,
): Promise<string> {
  const { url, collection, encoder, encoderModel, k1, b, weights, rerank, rerankFrom, pages, seed } = settings;
  const parts = {
    version: 1,
    names,
    ...(names.some((name) => withIndex.includes(name)) ? { corpus: await corpusOf(settings.index, context) } : {}),
    ...{ url, collection, encoder, encoderModel, weights, pages },
    ...(names.includes("bm25") ? { k1, b } : {}),
    ...(names.includes("random") ? { seed } : {}),
    ...(rerank === "" ? {} : { rerank, rerankFrom }),
  };
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 32);
}

/** Stands where an engine is never asked: a cache that only replays needs no index, no key and no server. */
export function absentEngine(name: string): SearchEngine {
  return {
    name,
    searchBatch: () => Promise.reject(new Error("internal: a cache that replays has asked its engine")),
    close: () => Promise.resolve(),
  };
}

async function corpusOf(index: string, { passages }: Pick<EngineContext, "passages">): Promise<string> {
  const hash = createHash("sha256");
  if (index === "") {
    if (passages === undefined) return "";
    for (const [place, passage] of (await passages()).entries()) {
      hash.update(`${JSON.stringify([passage.id, passage.title, passage.text])}\n`);
      // A large corpus must not hold up the event loop.
      if (place % 500 === 499) await new Promise((resolve) => setImmediate(resolve));
    }
    return hash.digest("hex");
  }
  // An address (s3://…), or a folder that is not there: opening it will say so.
  if (!existsSync(index)) return index;
  const names = (await readdir(index, { recursive: true })).filter((name) => !passing.test(path.basename(name))).sort();
  // JSON files describe an index and hold hashes of what else belongs to it; the files of a table are never written twice.
  for (const name of names) {
    const file = path.join(index, name);
    const { size, isFile } = await stat(file).then((found) => ({ size: found.size, isFile: found.isFile() }));
    if (!isFile) continue;
    hash.update(`${name} ${size}\n`);
    if (name.endsWith(".json")) hash.update(await readFile(file));
  }
  return hash.digest("hex");
}
