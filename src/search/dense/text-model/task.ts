/** @file What a `TextModel` and its worker say to each other. */
import type { Pair } from "../../rerank/pair-scorer.js";
import type { ModelFolder, Pooling } from "./model-folder.js";

export interface TextModelData {
  model: ModelFolder;
  threads: number;
  pooling: Pooling;
  maxTokens: number;
}

export type ModelTask = { texts: string[] } | { pairs: Pair[] };

/** Row-major, [texts or pairs × width]: unit vectors of texts, logits of pairs. */
export interface ModelAnswer {
  values: Float32Array;
  width: number;
}
