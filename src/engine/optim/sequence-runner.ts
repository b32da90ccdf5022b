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
import { planMicroBatches, type MicroBatch } from "./micro-batches.js";
import { computedLength, type SequenceRow } from "./sequence-row.js";
import { predictionKey, predictionsOf, type TreeRow } from "./sequence-tree.js";

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
  /** Tokens that went through the model so far, padding aside, and those that needed not, since other sequences began with them. */
  readonly tokens = { computedTokens: 0, sharedTokens: 0 };
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
    for (const batch of planMicroBatches(rows, { tokens, plainTokens, lossRows: this.#mostRows })) {
      const { layout, sequences } = batch;
      this.#count(rows, batch);
      const session = await this.#session(`${kind} ${layout}`, () => graph(layout));
      const outputs = await session.run({ ...weights, ...tokenFeeds(rows, batch), ...feeds?.(sequences) });
      onOutputs(sequences, outputs);
    }
  }

  #count(rows: readonly SequenceRow[], { sequences, levels }: MicroBatch): void {
    const given = sequences.reduce((sum, index) => sum + computedLength(rows[index]), 0);
    const computed = levels.flat().reduce((sum, { start, end }) => sum + end - start, 0);
    this.tokens.computedTokens += computed;
    this.tokens.sharedTokens += given - computed;
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

/** What the layout's graph reads besides parameters (`predictors`), for one micro-batch. */
function tokenFeeds(rows: readonly SequenceRow[], { sequences, levels }: MicroBatch): Record<string, Feed> {
  const feeds: Record<string, Feed> = {};
  const predicting: number[] = [];
  const targets: number[] = [];
  let before = 0;
  /** By sequence and prediction: its place among those of all levels. */
  const places = new Map<number, Map<string, number>>(sequences.map((index) => [index, new Map()]));
  levels.forEach((given, level) => {
    // A level without rows has one that nothing asks for: no size is 0.
    const known = given.length > 0 ? given : [{ start: 0, end: 1, members: [sequences[0]], parent: 0, isIdle: true }];
    const length = Math.max(...known.map(({ start, end }) => end - start));
    const tokens = new Int32Array(known.length * length);
    known.forEach((row, place) => {
      const { tokens_T } = rows[row.members[0]];
      for (let t = row.start; t < row.end; t++) tokens[place * length + t - row.start] = tokens_T[t];
      if ("isIdle" in row) return;
      for (const [key, { position, target }] of predictionsOf(rows, row)) {
        for (const index of row.members) places.get(index)?.set(key, targets.length);
        predicting.push(before + place * length + position - 1 - row.start);
        targets.push(target);
      }
    });
    feeds[`tokens${level}`] = { data: tokens, dims: [known.length, length] };
    before += tokens.length;
    Object.assign(feeds, beginningFeeds(levels, known, level));
  });
  const asked = sequences.flatMap((index) =>
    rows[index].positions.map((position) => {
      const place = places.get(index)?.get(predictionKey(position, rows[index].tokens_T[position]));
      if (place === undefined) throw new Error(`internal: no row predicts token ${position} of sequence ${index}`);
      return place;
    }),
  );
  return { ...feeds, rows: int32(predicting), targets: int32(targets), asked: int32(asked) };
}

/** Of the rows of a level: where they begin, and which rows of each level before they follow. */
function beginningFeeds(levels: MicroBatch["levels"], rows: readonly TreeRow[], level: number): Record<string, Feed> {
  if (level === 0) return {};
  const feeds: Record<string, Feed> = { [`starts${level}`]: int32(rows.map(({ start }) => start)) };
  let followed = rows.map(({ parent }) => parent);
  for (let j = level - 1; j >= 0; j--) {
    const earlier = levels[j];
    const count = Math.max(1, earlier.length);
    const choice = new Float32Array(rows.length * count);
    followed.forEach((place, row) => (choice[row * count + place] = 1));
    feeds[`choice${level}of${j}`] = { data: choice, dims: [rows.length, count] };
    feeds[`valid${level}of${j}`] = int32(
      followed.map((place) => (place in earlier ? earlier[place].end - earlier[place].start : 1)),
    );
    followed = followed.map((place) => Math.max(0, earlier[place]?.parent ?? 0));
  }
  return feeds;
}

function int32(values: readonly number[]): Feed {
  return { data: Int32Array.from(values), dims: [values.length] };
}
