/** @file What makes an engine's answers: two openings with the same identity give the same ones. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile, readdir, stat } from "node:fs/promises";
import path from "node:path";
import { nextTurn } from "../../async.js";
import { UserError } from "../../errors.js";
import { readsSetting, type EngineName, type OwnSetting } from "../registry.js";
import type { EngineContext, EngineSettings } from "../settings.js";

/** Files that come and go while an index is worked on. */
const passing = /lock|\.tmp$|^building/;

/**
 * A hash of the engines, of what they search, and of the settings that change what they find. Keys, time limits and budgets are not part of
 * it. A folder is known by its contents, so it may be moved, and an index that has changed has other answers. What a server holds cannot be
 * seen from here: where it changes, search.cacheMode=refresh asks anew.
 * @throws UserError for replay without the index that the answers are known by
 */
export async function identityOf(
  settings: EngineSettings,
  names: readonly EngineName[],
  context: Pick<EngineContext, "passages">,
): Promise<string> {
  const { url, collection, encoder, encoderModel, k1, b, weights, rerank, rerankFrom, pages, seed } = settings;
  const reads = (setting: OwnSetting): boolean => names.some((name) => readsSetting(name, setting));
  // A new setting goes behind the others, and only where it is read: answers on disk are known by this hash.
  const parts = {
    version: 1,
    names,
    ...(reads("index") ? { corpus: await corpusOf(settings, context) } : {}),
    ...{ url, collection, encoder, encoderModel, weights, pages },
    ...(reads("k1") ? { k1: ownOf(k1), b: ownOf(b) } : {}),
    ...(reads("seed") ? { seed } : {}),
    ...(rerank === "" ? {} : { rerank, rerankFrom }),
  };
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 32);
}

/** What is auto is left out. */
function ownOf(value: number | "auto"): number | undefined {
  return value === "auto" ? undefined : value;
}

/** @throws UserError for a missing index that no other check would report */
async function corpusOf(
  { index, cacheMode }: Pick<EngineSettings, "index" | "cacheMode">,
  { passages }: Pick<EngineContext, "passages">,
): Promise<string> {
  const hash = createHash("sha256");
  if (index === "") {
    if (passages === undefined) return "";
    for (const [place, passage] of (await passages()).entries()) {
      hash.update(`${JSON.stringify([passage.id, passage.title, passage.text])}\n`);
      // A large corpus must not hold up the event loop.
      if (place % 500 === 499) await nextTurn();
    }
    return hash.digest("hex");
  }
  if (!existsSync(index)) {
    // Otherwise it is an address (s3://…), or opening it reports the error.
    if (cacheMode === "replay" && !/^[a-z][a-z0-9+.-]+:\/\//i.test(index))
      throw new UserError(
        `The index ${index} is not there. A cache that replays does not search it, but its answers are known by it: name the folder that it was recorded with, or a copy.`,
      );
    return index;
  }
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
