/** @file Losses on log-probabilities over data of any size: micro-batches in, log-probabilities and accumulated gradients out. */
import type { ForwardBackwardResult, LossSpec } from "../../contracts/policy.js";
import type { Datum } from "../../types.js";
import type { ModelConfig } from "../model/config.js";
import type { ParameterStore } from "../model/parameters.js";
import { lossInputs, logprobGraph, trainingGraph, type LossInput } from "../model/training-graph.js";
import type { EngineModel } from "../model/weights.js";
import type { Feed } from "../runtime/session.js";
import { maskedRow, perPosition, rowOf, scatterRows, zerosFor, type SequenceRow } from "./sequence-row.js";
import { SequenceRunner, type TrainerOptions } from "./sequence-runner.js";

/** Logits of one micro-batch stay below this many values (256 MiB) where they are all in memory at once. */
const mostLogits = 2 ** 26;

/** Most rows of a micro-batch that go through the LM head, unless one sequence has more: any number where the head is frozen (`token-logprobs.ts`). */
export function mostLossRows({ vocabSize }: ModelConfig, headIsFrozen: boolean): number {
  return headIsFrozen ? Infinity : Math.max(1, Math.floor(mostLogits / vocabSize));
}

/** Which log-probabilities are asked for. */
interface LogprobRequest {
  /** Under other trained parameters. */
  parameters?: ParameterStore;
  /** 1 where one is wanted; without masks everywhere. */
  masks_D_T?: readonly Uint8Array[];
}

/**
 * Losses and gradients of a model (the graphs of `model/training-graph.ts`), in micro-batches. Nothing is updated here; see `AdamW`.
 * Log-probabilities are natural logarithms (nats).
 */
export class Trainer extends SequenceRunner {
  constructor(model: EngineModel, options: TrainerOptions) {
    super(model, options, mostLossRows(model.config, model.base !== undefined));
  }

  /**
   * Log-probability (nats) of the wanted tokens given those before them: one array of the sequence's length for each sequence, with 0 at
   * index 0 and where none is wanted. Only wanted ones pass the LM head; what sequences with the same tokens
   * before their first wanted one have in common is computed once.
   */
  async logprobs(
    sequences: readonly (readonly number[])[],
    { parameters, masks_D_T }: LogprobRequest = {},
  ): Promise<Float32Array[]> {
    const rows = sequences.map((tokens_T, index) => maskedRow(tokens_T, masks_D_T?.[index]));
    const result = zerosFor(rows);
    await this.run({
      kind: "logprobs",
      graph: (layout) => logprobGraph(this.model, layout),
      rows,
      parameters,
      onOutputs: (indices, { logprobs }) => scatterRows(rows, indices, logprobs, result),
    });
    return result;
  }

  /**
   * Adds the gradient of the loss, summed over all data, to `gradients`; with an entropy bonus where data have `entropyWeights_T`.
   * @returns the summed loss, and the log-probabilities `[D][T]` of tokens that carry loss (0 elsewhere); with a bonus their entropies
   * @throws Error (internal) when a datum lacks what the loss reads, or only some have entropy weights
   */
  async forwardBackward(data_D: readonly Datum[], loss: LossSpec): Promise<ForwardBackwardResult> {
    const entropy = hasEntropyWeights(data_D);
    const rows = data_D.map((datum) => lossRow(datum, loss));
    const [logprobs_D_T, entropies_D_T] = [zerosFor(rows), zerosFor(rows)];
    let total = 0;
    await this.run({
      kind: `${loss.kind}${entropy ? " with entropy" : ""}`,
      graph: (layout) => trainingGraph(this.model, loss.kind, { layout, recompute: this.recompute, entropy }),
      rows,
      feeds: (indices) => lossFeeds(data_D, rows, indices, loss),
      onOutputs: (indices, outputs) => {
        total += outputs.loss[0];
        scatterRows(rows, indices, outputs.logprobs, logprobs_D_T);
        if (entropy) scatterRows(rows, indices, outputs.entropies, entropies_D_T);
        this.accumulate(outputs);
      },
    });
    return { loss: total, logprobs_D_T, ...(entropy ? { entropies_D_T } : {}) };
  }
}

function hasEntropyWeights(data_D: readonly Datum[]): boolean {
  const count = data_D.filter(({ entropyWeights_T }) => entropyWeights_T).length;
  if (count > 0 && count < data_D.length) {
    throw new Error(`internal: ${count} of ${data_D.length} data have entropyWeights_T; all must or none`);
  }
  return count > 0;
}

/** The positions that carry loss: written by the policy, and of a weight, an advantage or an entropy weight other than 0. */
function lossRow({ tokens_T, sampledMask_T, entropyWeights_T, ...datum }: Datum, loss: LossSpec): SequenceRow {
  const factor = loss.kind === "cross_entropy" ? datum.weights_T : datum.advantages_T;
  if (!factor)
    throw new Error(`internal: ${loss.kind} needs ${lossInputs[loss.kind].perToken.join(" and ")} in every datum`);
  const counts = (t: number): boolean => factor[t] !== 0 || (entropyWeights_T?.[t] ?? 0) !== 0;
  return rowOf(tokens_T, (t) => sampledMask_T[t] === 1 && counts(t));
}

function lossFeeds(
  data_D: readonly Datum[],
  rows: readonly SequenceRow[],
  indices: readonly number[],
  loss: LossSpec,
): Record<string, Feed> {
  const sources: Record<LossInput | "entropyWeights", (datum: Datum) => Float32Array | undefined> = {
    weights: (datum) => datum.weights_T,
    advantages: (datum) => datum.advantages_T,
    oldLogprobs: (datum) => datum.logprobs_T,
    entropyWeights: (datum) => datum.entropyWeights_T,
  };
  const feed = (name: keyof typeof sources): Feed =>
    perPosition(rows, indices, (index) => {
      const values = sources[name](data_D[index]);
      if (!values) throw new Error(`internal: ${loss.kind} needs ${name} in every datum`);
      return values;
    });
  const feeds = Object.fromEntries(lossInputs[loss.kind].perToken.map((name) => [name, feed(name)]));
  if (data_D[indices[0]].entropyWeights_T) feeds.entropyWeights = feed("entropyWeights");
  if (loss.kind === "ppo" || loss.kind === "cispo") {
    feeds.ratioLow = { data: Float32Array.of(1 - loss.clipLow), dims: [] };
    feeds.ratioHigh = { data: Float32Array.of(1 + loss.clipHigh), dims: [] };
  }
  return feeds;
}
