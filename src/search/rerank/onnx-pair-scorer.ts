/** @file A cross-encoder in a worker: reads query and passage together and says how well they fit. */
import { resolveEncoderModel, readModelFolder } from "../dense/text-model/model-folder.js";
import type { HubOptions } from "../dense/text-model/model-folder.js";
import { UserError } from "../../errors.js";
import type { SearchOptions } from "../engine.js";
import { TextModel, type TextModelOptions } from "../dense/text-model/text-model.js";
import type { Pair, PairScorer } from "./pair-scorer.js";

export interface OnnxPairScorerOptions extends TextModelOptions {
  /** Which ONNX file of several: "fp16", "quantized", …; "" is onnx/model.onnx. */
  variant?: string;
  /** "sigmoid" maps scores to 0…1 and keeps their order. Default "none". */
  activation?: "none" | "sigmoid";
  /** For hf: names. */
  hub?: HubOptions;
}

/**
 * Opens a cross-encoder such as cross-encoder/ms-marco-MiniLM-L6-v2.
 * @param location a Hugging Face folder, an ONNX file in it, or `hf:ORG/NAME`
 * @throws UserError when it is missing, cannot be used, or is no cross-encoder
 */
export async function openOnnxPairScorer(location: string, options: OnnxPairScorerOptions = {}): Promise<PairScorer> {
  const { variant = "", activation = "none", hub, ...modelOptions } = options;
  const model = await readModelFolder(await resolveEncoderModel(location, variant, hub), variant);
  const probe = { pairs: [{ query: "a", passage: "b" }] };
  const opened = await TextModel.open("rerank", model, "cls", probe, modelOptions);
  if (opened.width > 2) {
    await opened.close();
    throw new UserError(
      `${location} gives ${opened.width} numbers for a pair instead of one or two: it is no cross-encoder. Choose one like cross-encoder/ms-marco-MiniLM-L6-v2.`,
    );
  }
  return new OnnxPairScorer(model.fingerprint, opened, activation);
}

/** One logit is the score; of two, "fits" less "does not fit". */
class OnnxPairScorer implements PairScorer {
  readonly name: string;
  readonly #model: TextModel;
  readonly #activation: "none" | "sigmoid";
  #pairs = 0;

  constructor(fingerprint: string, model: TextModel, activation: "none" | "sigmoid") {
    this.name = `cross-encoder ${fingerprint}, ${model.maxTokens} tokens${activation === "none" ? "" : `, ${activation}`}`;
    this.#model = model;
    this.#activation = activation;
  }

  async score(pairs: readonly Pair[], options: SearchOptions = {}): Promise<number[]> {
    const logits = await this.#model.score(pairs, options);
    this.#pairs += pairs.length;
    const { width } = this.#model;
    return pairs.map((_, index) => {
      const logit = width === 1 ? logits[index] : logits[index * 2 + 1] - logits[index * 2];
      return this.#activation === "sigmoid" ? 1 / (1 + Math.exp(-logit)) : logit;
    });
  }

  counts(): Readonly<Record<string, number>> {
    return { pairsScored: this.#pairs };
  }

  close(): Promise<void> {
    return this.#model.close();
  }
}
