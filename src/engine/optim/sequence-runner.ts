/**
 * @file Runs graphs over sequences of any number and length: rows in, micro-batches through the sessions of each layout, one sum of
 * gradients out. What the graphs compute is the caller's.
 */
import type { Graph } from "../graph/graph.js";
import type { ParameterStore } from "../model/parameters.js";
import type { Layout } from "../model/sequence-layout.js";
import { parameterFeeds, type EngineModel } from "../model/weights.js";
import { lower } from "../onnx/lower.js";
import { Session, type Feed, type RuntimeOptions } from "../runtime/session.js";
import { planMicroBatches, type MicroBatch, type SequenceSize } from "./micro-batches.js";

/** Settings of whatever trains. */
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

/** One sequence as the graphs read it: the positions to compute, ascending, never 0. */
export interface SequenceRow {
  tokens_T: readonly number[];
  positions: number[];
  /** Leading tokens that predict nothing, of a sequence that may share their computation. */
  prefix: number;
}

/** The row of a sequence; it shares whatever comes before the token that predicts its first position. */
export function rowOf(tokens_T: readonly number[], isWanted: (t: number) => boolean): SequenceRow {
  const positions: number[] = [];
  for (let t = 1; t < tokens_T.length; t++) if (isWanted(t)) positions.push(t);
  return { tokens_T, positions, prefix: Math.max(0, (positions[0] ?? 0) - 1) };
}

/** The row that asks for every token, or for the tokens of a mask. */
export function maskedRow(tokens_T: readonly number[], mask_T: Uint8Array | undefined): SequenceRow {
  if (mask_T && mask_T.length !== tokens_T.length) {
    throw new Error(`internal: ${tokens_T.length} tokens with a mask of ${mask_T.length}`);
  }
  return rowOf(tokens_T, (t) => !mask_T || mask_T[t] === 1);
}

/** A graph that is run over rows. */
interface Job {
  /** The same kind is always the same graph. */
  kind: string;
  graph: (layout: Layout) => Graph;
  rows: readonly SequenceRow[];
  /** In place of the model's own. */
  parameters?: ParameterStore;
  /** What the graph reads besides tokens and parameters, for the rows of these indices. */
  feeds?: (indices: readonly number[]) => Record<string, Feed>;
  onOutputs: (indices: readonly number[], outputs: Record<string, Float32Array>) => void;
}

/** What `Trainer` and `ValueTrainer` have in common. */
export class SequenceRunner {
  readonly model: EngineModel;
  /** Sum of the gradients since `clearGradients`, in the layout of `model.trainable.flat`. */
  readonly gradients: Float32Array;
  /** Whether the backward pass computes activations again. */
  protected readonly recompute: boolean;
  readonly #options: TrainerOptions;
  readonly #mostRows: number;
  readonly #sessions = new Map<string, Promise<Session>>();
  readonly #offsets = new Map<string, number>();

  /** @param mostRows most positions of one micro-batch, unless one sequence has more */
  constructor(model: EngineModel, options: TrainerOptions, mostRows: number) {
    const { flat, views } = model.trainable;
    this.model = model;
    this.recompute = options.recompute ?? false;
    this.#mostRows = mostRows;
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

  protected async run({ kind, graph, rows, parameters = this.model.trainable, feeds, onOutputs }: Job): Promise<void> {
    const { microBatchTokens: tokens, plainTokens } = this.#options;
    const weights = parameterFeeds(parameters);
    for (const batch of planMicroBatches(rows.map(sizeOf), { tokens, plainTokens, lossRows: this.#mostRows })) {
      const { layout, sequences } = batch;
      const session = await this.#session(`${kind} ${layout}`, () => graph(layout));
      const outputs = await session.run({ ...weights, ...tokenFeeds(rows, batch), ...feeds?.(sequences) });
      onOutputs(sequences, outputs);
    }
  }

  /** Adds a run's outputs `gradient:NAME` to the sum. */
  protected accumulate(outputs: Record<string, Float32Array>): void {
    for (const [name, offset] of this.#offsets) {
      const gradient = outputs[`gradient:${name}`];
      const target = this.gradients;
      for (let index = 0; index < gradient.length; index++) target[offset + index] += gradient[index];
    }
  }

  /** Frees the runtime's sessions. */
  async release(): Promise<void> {
    for (const session of this.#sessions.values()) await (await session).release();
    this.#sessions.clear();
  }

  #session(key: string, graph: () => Graph): Promise<Session> {
    const known = this.#sessions.get(key);
    if (known) return known;
    const session = Session.create(lower(graph()), this.#options, this.#options.onRun);
    this.#sessions.set(key, session);
    return session;
  }
}

function sizeOf({ tokens_T, positions, prefix }: SequenceRow): SequenceSize {
  const size = { length: positions.at(-1) ?? 0, lossRows: positions.length };
  if (prefix === 0) return size;
  return { ...size, shareable: { family: tokens_T.slice(0, prefix).join(), length: prefix } };
}

/** Tokens up to the last one that predicts, and where predictions and their targets are. */
function tokenFeeds(rows: readonly SequenceRow[], { layout, sequences, copies }: MicroBatch): Record<string, Feed> {
  const members = sequences.map((index) => rows[index]);
  const startOf = ({ prefix }: SequenceRow): number => (layout === "shared" ? prefix : 0);
  const endOf = ({ positions }: SequenceRow): number => positions.at(-1) as number;
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
function prefixFeeds(firsts: readonly SequenceRow[]): Record<string, Feed> {
  const lengths = Int32Array.from(firsts, ({ prefix }) => prefix);
  const width = Math.max(...lengths);
  const tokens = new Int32Array(firsts.length * width);
  firsts.forEach(({ tokens_T, prefix }, group) => tokens.set(tokens_T.slice(0, prefix), group * width));
  return {
    prefixTokens: { data: tokens, dims: [firsts.length, width] },
    prefixLengths: { data: lengths, dims: [firsts.length] },
  };
}

/** One number per wanted position of the rows. */
export function perPosition(
  rows: readonly SequenceRow[],
  indices: readonly number[],
  valuesOf: (index: number) => ArrayLike<number>,
): Feed {
  const data = Float32Array.from(
    indices.flatMap((index) => {
      const values = valuesOf(index);
      return rows[index].positions.map((position) => values[position]);
    }),
  );
  return { data, dims: [data.length] };
}

/** Puts the rows' values back at their sequences' positions. */
export function scatterRows(
  rows: readonly SequenceRow[],
  indices: readonly number[],
  values: Float32Array,
  result: readonly Float32Array[],
): void {
  let next = 0;
  for (const index of indices) for (const position of rows[index].positions) result[index][position] = values[next++];
}

/** An array of the sequence's length for each row. */
export const zerosFor = (rows: readonly SequenceRow[]): Float32Array[] =>
  rows.map(({ tokens_T }) => new Float32Array(tokens_T.length));
