/** @file Runs training graphs over data of any size: micro-batches in, log-probabilities and accumulated gradients out. */
import type { ForwardBackwardResult, LossSpec } from "../../policy/policy.js";
import type { Datum } from "../../types.js";
import type { ModelConfig } from "../model/config.js";
import type { ParameterStore } from "../model/parameters.js";
import { lossInputs, logprobGraph, trainingGraph, type Layout, type LossInput } from "../model/training-graph.js";
import { parameterFeeds, type EngineModel } from "../model/weights.js";
import { lower } from "../onnx/lower.js";
import { Session, type Feed, type RuntimeOptions } from "../runtime/session.js";
import { planMicroBatches, type MicroBatch, type MicroBatchLimits, type SequenceSize } from "./micro-batches.js";

/** Logits of one micro-batch stay below this many values (256 MiB). */
const MOST_LOGITS = 2 ** 26;

/** Most rows of a micro-batch that go through the LM head, unless one sequence has more. */
export function mostLossRows({ vocabSize }: ModelConfig): number {
  return Math.max(1, Math.floor(MOST_LOGITS / vocabSize));
}

/** Settings of a `Trainer`. */
export interface TrainerOptions extends RuntimeOptions {
  /** Most tokens of one micro-batch, padding included: bounds memory. */
  microBatchTokens: number;
  /** Most tokens of one whose sequences share no prefix. Default: `microBatchTokens`. */
  plainTokens?: number;
  /** Compute activations again in the backward pass instead of keeping them. Default false. */
  recompute?: boolean;
  /** Receives the milliseconds of each call of the runtime. */
  onRun: (milliseconds: number) => void;
}

/** One sequence as the graphs want it: positions whose token's log-probability is wanted, ascending, never 0. */
interface Row {
  tokens_T: readonly number[];
  positions: number[];
  /** Leading tokens that predict nothing, of a sequence that may share their computation. */
  prefix: number;
}

/**
 * Losses and gradients of a model (the graphs of `model/training-graph.ts`), in micro-batches. Nothing is updated here; see `AdamW`.
 * Log-probabilities are natural logarithms (nats).
 */
export class Trainer {
  readonly model: EngineModel;
  /** Sum of the gradients since `clearGradients`, in the layout of `model.trainable.flat`. */
  readonly gradients: Float32Array;
  readonly #options: TrainerOptions;
  readonly #sessions = new Map<string, Promise<Session>>();
  readonly #offsets = new Map<string, number>();

  constructor(model: EngineModel, options: TrainerOptions) {
    const { flat, views } = model.trainable;
    this.model = model;
    this.gradients = new Float32Array(flat.length);
    // Frozen weights are shared by all sessions of training; a copy laid out for the processor gains nothing for so many rows.
    this.#options = { prepack: !model.base, ...options };
    for (const [name, view] of views) {
      this.#offsets.set(name, (view.byteOffset - flat.byteOffset) / Float32Array.BYTES_PER_ELEMENT);
    }
  }

  /** Sets the sum of gradients to 0: the next optimizer step begins. */
  clearGradients(): void {
    this.gradients.fill(0);
  }

  /**
   * Log-probability (nats) of every token given those before it, under other trained parameters if given: one array of the
   * sequence's length for each sequence, with 0 at index 0.
   */
  async logprobs(
    sequences: readonly (readonly number[])[],
    parameters: ParameterStore = this.model.trainable,
  ): Promise<Float32Array[]> {
    const rows = sequences.map((tokens_T) => ({ tokens_T, positions: tokens_T.map((_, t) => t).slice(1), prefix: 0 }));
    const result = sequences.map((tokens_T) => new Float32Array(tokens_T.length));
    await this.#forEachBatch(rows, parameters, async ({ sequences, layout }, feeds) => {
      const session = await this.#session("logprobs", layout);
      const { logprobs } = await session.run(feeds);
      scatterRows(rows, sequences, logprobs, result);
    });
    return result;
  }

  /**
   * Adds the gradient of the loss, summed over all data, to `gradients`.
   * @returns the summed loss, and the log-probabilities `[D][T]` of tokens that carry loss (0 elsewhere)
   * @throws Error (internal) when a datum lacks what the loss reads
   */
  async forwardBackward(data_D: readonly Datum[], loss: LossSpec): Promise<ForwardBackwardResult> {
    const rows = data_D.map((datum) => {
      const positions = lossPositions(datum, loss);
      return { tokens_T: datum.tokens_T, positions, prefix: Math.max(0, (positions[0] ?? 0) - 1) };
    });
    const result = data_D.map((datum) => new Float32Array(datum.tokens_T.length));
    let total = 0;
    await this.#forEachBatch(rows, this.model.trainable, async ({ sequences, layout }, feeds) => {
      const session = await this.#session(loss.kind, layout);
      const outputs = await session.run({ ...feeds, ...lossFeeds(data_D, rows, sequences, loss) });
      total += outputs.loss[0];
      scatterRows(rows, sequences, outputs.logprobs, result);
      this.#accumulate(outputs);
    });
    return { loss: total, logprobs_D_T: result };
  }

  /** Frees the runtime's sessions. */
  async release(): Promise<void> {
    for (const session of this.#sessions.values()) await (await session).release();
    this.#sessions.clear();
  }

  #session(kind: LossSpec["kind"] | "logprobs", layout: Layout): Promise<Session> {
    const key = `${kind} ${layout}`;
    const known = this.#sessions.get(key);
    if (known) return known;
    const graph =
      kind === "logprobs"
        ? logprobGraph(this.model)
        : trainingGraph(this.model, kind, { layout, recompute: this.#options.recompute });
    const session = Session.create(lower(graph), this.#options, this.#options.onRun);
    this.#sessions.set(key, session);
    return session;
  }

  async #forEachBatch(
    rows: readonly Row[],
    parameters: ParameterStore,
    run: (batch: MicroBatch, feeds: Record<string, Feed>) => Promise<void>,
  ): Promise<void> {
    const limits: MicroBatchLimits = {
      tokens: this.#options.microBatchTokens,
      plainTokens: this.#options.plainTokens,
      lossRows: mostLossRows(this.model.config),
    };
    const weights = parameterFeeds(parameters);
    for (const batch of planMicroBatches(rows.map(sizeOf), limits)) {
      await run(batch, { ...weights, ...tokenFeeds(rows, batch) });
    }
  }

  #accumulate(outputs: Record<string, Float32Array>): void {
    for (const [name, offset] of this.#offsets) {
      const gradient = outputs[`gradient:${name}`];
      const target = this.gradients;
      for (let index = 0; index < gradient.length; index++) target[offset + index] += gradient[index];
    }
  }
}

/** The positions that carry loss: written by the policy, and of weight or advantage other than 0. */
function lossPositions(datum: Datum, loss: LossSpec): number[] {
  const factor = loss.kind === "cross_entropy" ? datum.weights_T : datum.advantages_T;
  if (!factor)
    throw new Error(`internal: ${loss.kind} needs ${lossInputs[loss.kind].perToken.join(" and ")} in every datum`);
  const positions: number[] = [];
  for (let t = 1; t < datum.tokens_T.length; t++) if (datum.sampledMask_T[t] && factor[t] !== 0) positions.push(t);
  return positions;
}

function sizeOf({ tokens_T, positions, prefix }: Row): SequenceSize {
  const size = { length: positions.at(-1) ?? 0, lossRows: positions.length };
  if (prefix === 0) return size;
  return { ...size, shareable: { family: tokens_T.slice(0, prefix).join(), length: prefix } };
}

/** Tokens up to the last one that predicts, and where predictions and their targets are. */
function tokenFeeds(rows: readonly Row[], { layout, sequences, copies }: MicroBatch): Record<string, Feed> {
  const members = sequences.map((index) => rows[index]);
  const startOf = ({ prefix }: Row): number => (layout === "shared" ? prefix : 0);
  const endOf = ({ positions }: Row): number => positions.at(-1) as number;
  const length = Math.max(...members.map((row) => endOf(row) - startOf(row)));
  const tokens = new Int32Array(members.length * length);
  const lossRows: number[] = [];
  const targets: number[] = [];
  members.forEach((row, number) => {
    const [start, end] = [startOf(row), endOf(row)];
    for (let t = start; t < end; t++) tokens[number * length + t - start] = row.tokens_T[t];
    for (const position of row.positions) {
      lossRows.push(number * length + position - 1 - start);
      targets.push(row.tokens_T[position]);
    }
  });
  const groups = members.length / copies;
  return {
    tokens: { data: tokens, dims: layout === "shared" ? [groups, copies, length] : [members.length, length] },
    rows: { data: Int32Array.from(lossRows), dims: [lossRows.length] },
    targets: { data: Int32Array.from(targets), dims: [targets.length] },
    ...(layout === "shared" ? prefixFeeds(members.filter((_, number) => number % copies === 0)) : {}),
  };
}

/** The prefixes, given one sequence of each group. */
function prefixFeeds(firsts: readonly Row[]): Record<string, Feed> {
  const lengths = Int32Array.from(firsts, ({ prefix }) => prefix);
  const width = Math.max(...lengths);
  const tokens = new Int32Array(firsts.length * width);
  firsts.forEach(({ tokens_T, prefix }, group) => tokens.set(tokens_T.slice(0, prefix), group * width));
  return {
    prefixTokens: { data: tokens, dims: [firsts.length, width] },
    prefixLengths: { data: lengths, dims: [firsts.length] },
  };
}

function lossFeeds(
  data_D: readonly Datum[],
  rows: readonly Row[],
  batch: readonly number[],
  loss: LossSpec,
): Record<string, Feed> {
  const sources: Record<LossInput, (datum: Datum) => Float32Array | undefined> = {
    weights: (datum) => datum.weights_T,
    advantages: (datum) => datum.advantages_T,
    oldLogprobs: (datum) => datum.logprobs_T,
  };
  const feeds: Record<string, Feed> = {};
  for (const name of lossInputs[loss.kind].perToken) {
    const data = Float32Array.from(
      batch.flatMap((index) => {
        const values = sources[name](data_D[index]);
        if (!values) throw new Error(`internal: ${loss.kind} needs ${name} in every datum`);
        return rows[index].positions.map((position) => values[position]);
      }),
    );
    feeds[name] = { data, dims: [data.length] };
  }
  if (loss.kind === "ppo" || loss.kind === "cispo") {
    feeds.ratioLow = { data: Float32Array.of(1 - loss.clipLow), dims: [] };
    feeds.ratioHigh = { data: Float32Array.of(1 + loss.clipHigh), dims: [] };
  }
  return feeds;
}

/** Puts the rows' values back at their sequences' positions. */
function scatterRows(
  rows: readonly Row[],
  batch: readonly number[],
  values: Float32Array,
  result: readonly Float32Array[],
): void {
  let next = 0;
  for (const index of batch) for (const position of rows[index].positions) result[index][position] = values[next++];
}
