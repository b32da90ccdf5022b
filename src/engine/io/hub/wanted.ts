/** @file What Sleuth wants of a repository with a model, an encoder or a cross-encoder: which files, and whether a cached one is whole. */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { isSafePath } from "../../../files/safe-path.js";
import type { RepositoryCache } from "../../../hub/cache.js";
import type { Wanted } from "../../../hub/fetch.js";
import { adapterConfigFile, adapterWeightsFile } from "../adapter-folder.js";
import { configFile, indexFile, weightsFile } from "../safetensors-set.js";
import { tokenizerFile } from "../tokenizer-files.js";
import { judgeFiles, judgeGguf } from "./judge.js";
import {
  encoderOptional,
  missingEncoderFiles,
  optionalFiles,
  selectFiles,
  shardNames,
  type ModelName,
} from "./selection.js";

/** Judged before its weights are fetched. */
export function wantedOfModel(name: ModelName): Wanted {
  const optional = name.onnx === undefined ? optionalFiles : encoderOptional;
  return {
    async choose(listed, { transport, commit, readSmall, isThere }) {
      const chosen = await selectFiles(listed, name, readSmall);
      if (name.file === undefined) await judgeFiles(chosen, name, readSmall);
      else if (!(await isThere(chosen[0]))) await judgeGguf(transport, name, commit, chosen[0]);
      return chosen;
    },
    optional: name.file === undefined ? optional : [],
    lacking: (cache, commit) => lacking(cache, name, commit),
  };
}

async function lacking(
  cache: RepositoryCache,
  name: ModelName,
  commit: string,
): Promise<{ missing: string[]; unknown: string[] }> {
  const folder = cache.snapshot(commit);
  // Follows links: one that leads nowhere counts as missing.
  const has = (file: string): boolean => existsSync(path.join(folder, file));
  const unknownOf = (optional: readonly string[]): string[] =>
    optional.filter((file) => !has(file) && !cache.isAbsent(commit, file));
  if (name.file !== undefined) return { missing: has(name.file) ? [] : [name.file], unknown: [] };
  if (name.onnx !== undefined)
    return { missing: missingEncoderFiles(name.onnx, has), unknown: unknownOf(encoderOptional) };
  if (name.tokenizerOnly)
    return { missing: [tokenizerFile].filter((file) => !has(file)), unknown: unknownOf(optionalFiles) };
  const isAdapter = has(adapterConfigFile) && has(adapterWeightsFile);
  const missing = isAdapter ? [] : [configFile, tokenizerFile].filter((file) => !has(file));
  if (!has(weightsFile)) {
    if (has(indexFile)) missing.push(...(await missingShards(folder, has)));
    else if (!isAdapter) missing.push(has(adapterConfigFile) ? adapterWeightsFile : weightsFile);
  }
  return { missing, unknown: unknownOf(optionalFiles) };
}

async function missingShards(folder: string, has: (file: string) => boolean): Promise<string[]> {
  try {
    const shards = shardNames(JSON.parse(await readFile(path.join(folder, indexFile), "utf8")));
    return shards.length === 0 ? [indexFile] : shards.filter((file) => !isSafePath(file) || !has(file));
  } catch {
    return [indexFile];
  }
}
