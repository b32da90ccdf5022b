/** @file What is asked of an LM head. The vocabulary is cut into chunks, so that logits of many rows never exist for all of it at once. */
import { isStored, type ConstantData, type Node } from "../graph/ops.js";
import type { ModelConfig } from "./config.js";

/** The LM head over hidden states behind the final norm, `[U, hidden]`. Its table, a row for each token of the vocabulary, is cut into chunks. */
export interface Head {
  /** Whether the table is trained; then there is one chunk. */
  trained: boolean;
  chunks: number;
  /** Logits of a chunk's tokens, `[U, C]`. */
  logits(hidden: Node, chunk: number): Node;
  /** The sum of a chunk's rows with the weights `[U, C]` of each, `[U, hidden]`: what flows back from its logits. */
  weightedRows(weights: Node, chunk: number): Node;
  /** The logit of one token in each row, `tokens [U]` → `[U]`. */
  logitsOf(hidden: Node, tokens: Node): Node;
  /** Logits of the whole vocabulary, for few rows. */
  allLogits(hidden: Node): Node;
}

/** The tensor of the head's table. */
export const headTensor = ({ tieWordEmbeddings }: ModelConfig): string =>
  tieWordEmbeddings ? "model.embed_tokens.weight" : "lm_head.weight";

/** Tokens of a chunk: of SmolLM2's vocabulary twelve (docs/engine.md). */
const chunkRows = 4096;

/** The tokens of each chunk of a vocabulary: from `start` to before `end`. */
export function headChunks(vocabSize: number): { start: number; end: number }[] {
  return Array.from({ length: Math.ceil(vocabSize / chunkRows) }, (_, chunk) => {
    return { start: chunk * chunkRows, end: Math.min(vocabSize, (chunk + 1) * chunkRows) };
  });
}

/** Some of a constant's numbers, from `start` to before `end`. */
export function partOf(stored: ConstantData, start: number, end: number): ConstantData {
  if (!isStored(stored)) return stored.subarray(start, end);
  const bytesEach = stored.dtype === "int8" ? Int8Array.BYTES_PER_ELEMENT : Float32Array.BYTES_PER_ELEMENT;
  return { ...stored, offset: stored.offset + start * bytesEach, length: end - start };
}
