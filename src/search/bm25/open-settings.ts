/** @file BM25 from settings: an index folder, or passages at hand. */
import { UserError } from "../../errors.js";
import { locateIndex } from "../locate-index.js";
import type { EngineContext, EngineSettings } from "../settings.js";
import { Bm25Engine } from "./engine.js";
import { openIndex } from "./open.js";

/** @throws UserError when neither an index nor passages are given, and as `openIndex` does */
export async function openBm25({ index, k1, b }: EngineSettings, context: EngineContext): Promise<Bm25Engine> {
  const ranking = { ...(k1 === "auto" ? {} : { k1 }), ...(b === "auto" ? {} : { b }) };
  if (index !== "") return openIndex(await locateIndex(index, "bm25"), ranking);
  if (context.passages === undefined)
    throw new UserError(
      "bm25 needs an index. Make one with `sleuth index CORPUS.jsonl --out FOLDER` and name it with --index FOLDER.",
    );
  return Bm25Engine.indexed(await context.passages(), ranking);
}
