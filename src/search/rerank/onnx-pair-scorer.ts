/** @file A cross-encoder in a worker: reads query and passage together and says how well they fit. */
import { UserError } from "../../errors.js";
import type { Pair, PairScorer, SearchOptions } from "../engine.js";
import { readModelFolder } from "../text-model/model-folder.js";
import { TextModel, type TextModelOptions } from "../text-model/text-model.js";

export interface OnnxPairScorerOptions extends TextModelOptions {
  /** Which ONNX file of several: "fp16", "quantized", …; "" is onnx/model.onnx. */
  variant?: string;
  /** "sigmoid" maps scores to 0…1 and keeps their order. Default "none". */
  activation?: "none" | "sigmoid";
}

/** A model of our own cuts what is too long and refuses no pair. */
interface LocalPairScorer extends PairScorer {
  score(pairs: readonly Pair[], options?: SearchOptions): Promise<number[]>;
}

/**
 * Opens a cross-encoder such as cross-encoder/ms-marco-MiniLM-L6-v2.
 * @param location a Hugging Face folder, an ONNX file in it, or `hf:ORG/NAME`
 * @throws UserError when it is missing, cannot be used, or is no cross-encoder
 */
export async function openOnnxPairScorer(
  location: string,
  options: OnnxPairScorerOptions = {},
): Promise<LocalPairScorer> {
  const { variant = "", activation = "none", hub, ...modelOptions } = options;
  const files = await readModelFolder(location, variant, hub);
  const probe = { pairs: [{ query: "a", passage: "b" }] };
  const model = await TextModel.open("rerank", files, undefined, probe, modelOptions);
  const { width, maxTokens } = model;
  if (width > 2) {
    await model.close();
    throw new UserError(
      `${location} gives ${width} numbers for a pair instead of one or two: it is no cross-encoder. Choose one like cross-encoder/ms-marco-MiniLM-L6-v2.`,
    );
  }
  let pairsScored = 0;
  return {
    name: `cross-encoder ${files.fingerprint}, ${maxTokens} tokens${activation === "none" ? "" : `, ${activation}`}`,
    async score(pairs, given) {
      const logits = await model.score(pairs, given);
      pairsScored += pairs.length;
      return pairs.map((_, index) => {
        // Of two logits: "fits" less "does not fit".
        const logit = width === 1 ? logits[index] : logits[index * 2 + 1] - logits[index * 2];
        return activation === "sigmoid" ? 1 / (1 + Math.exp(-logit)) : logit;
      });
    },
    counts: () => ({ pairsScored }),
    close: () => model.close(),
  };
}
