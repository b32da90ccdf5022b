/**
 * @file What a model will take in memory, before any of it is read, and the sizes with which it stays below a limit: tokens of a
 * micro-batch, keys and values, whether activations are computed again. Every number comes from the shapes of weights and from the graphs that will run.
 */
import type { MemoryPart, MemoryPlan } from "../../contracts/policy.js";
import { UserError } from "../../errors.js";
import { bytesPerPosition, capacityFor } from "../generate/kv-cache.js";
import type { ModelConfig } from "../model/config.js";
import type { Precision } from "../model/int8.js";
import type { LoraConfig } from "../model/lora.js";
import type { Layout } from "../model/sequence-layout.js";
import { mostLossRows } from "../optim/forward-backward.js";
import { leastShared } from "../optim/sequence-tree.js";
import { formatMemory } from "./limit.js";
import { modelProfiles, type SessionProfile } from "./profiles.js";

type ModelProfiles = ReturnType<typeof modelProfiles>;

/** What is going to be done with a model. */
export interface Workload {
  sampling: boolean;
  /** Whether there will be gradients. */
  training: boolean;
  /** Whether log-probabilities are asked for besides, of the weights as they are or of the frozen start. */
  logprobs: "never" | "current" | "reference";
  /** Most tokens of one sequence that is sampled or trained. */
  rowTokens: number;
  /** Most of them that carry loss. */
  lossTokens: number;
  /** Sequences that begin with the same prompt; 1 where none do. */
  groupSize: number;
  /** Whether a value function is trained beside the model. */
  critic: boolean;
  /** Whether the loss has an entropy bonus. */
  entropy: boolean;
}

export interface MemoryRequest extends Workload {
  config: ModelConfig;
  /** The adapter over frozen weights; absent where all weights are trained. */
  lora?: LoraConfig;
  /** Of the frozen weights. Default float32. */
  precision?: Precision;
  /** Most tokens that a row of the sampler must have room for. */
  contextLength: number;
  /** Most sequences that are sampled at once. */
  maxBatch: number;
  /** What this process holds already: its code, the corpus. */
  heldBytes: number;
  limitBytes: number;
  recompute: "auto" | "always" | "never";
  /** Wishes; without them the plan decides. */
  microBatchTokens?: number;
  cacheBytes?: number;
}

const mostCache = 2 ** 30;
/** Of the limit, at most, for keys and values, and half as much for computing them; the second where the first leaves too little. */
const cacheShares = [1 / 4, 1 / 16];
const prefillSizes = [4096, 2048, 1024, 512, 256];
/** Of the sampler: prefixes are computed in pieces of so many tokens. */
const piece = 64;
const smallestMicroBatch = 256;

/**
 * The largest sizes that fit and make anything faster. Wishes are kept even where they exceed the limit: see `exceedsLimit`.
 * @throws UserError when not even the smallest sizes fit: what is needed for what, and what can be changed
 */
export function planMemory(request: MemoryRequest): MemoryPlan {
  let smallest: MemoryPlan | undefined;
  for (const plan of candidates(request)) {
    if (!exceedsLimit(plan)) return plan;
    if (!smallest || plan.totalBytes < smallest.totalBytes) smallest = plan;
  }
  if (!smallest) throw new Error("internal: no plan was considered");
  if (request.training && request.microBatchTokens !== undefined) return smallest;
  throw doesNotFit(request, smallest);
}

/** The best first: computing activations again costs time, and a small cache costs more. */
function* candidates(request: MemoryRequest): Generator<MemoryPlan> {
  const { limitBytes } = request;
  const profiles = modelProfiles(request.config, request.lora, request.precision ?? "float32");
  for (const share of request.sampling ? cacheShares : [1]) {
    const { parts: sampler, ...sizes } = planSampler(request, profiles, share * limitBytes);
    for (const trainer of trainers(request)) {
      const parts = [
        ...standingParts(request, profiles),
        ...(request.sampling ? sampler : []),
        ...(request.training ? trainingParts(request, profiles, trainer) : []),
        ...(request.training && request.critic ? criticParts(request, profiles, trainer) : []),
      ];
      const totalBytes = parts.reduce((sum, { bytes }) => sum + bytes, 0);
      yield { limitBytes, totalBytes, parts, ...trainer, ...sizes };
    }
  }
}

type TrainerSizes = Pick<MemoryPlan, "microBatchTokens" | "plainTokens" | "recompute">;

/** Large micro-batches before small ones, kept activations before those that are computed again. */
function trainers(request: MemoryRequest): TrainerSizes[] {
  const choices = request.recompute === "auto" ? [false, true] : [request.recompute === "always"];
  const mostPlain = usefulTokens({ ...request, groupSize: 1 });
  const all = choices.flatMap((recompute) =>
    microBatches(request).map((microBatchTokens) => {
      return { microBatchTokens, plainTokens: Math.min(microBatchTokens, mostPlain), recompute };
    }),
  );
  return request.training ? all : all.slice(0, 1);
}

/** Whether more is expected than may be used. */
export function exceedsLimit({ totalBytes, limitBytes }: MemoryPlan): boolean {
  return totalBytes > limitBytes;
}

/** Sizes to try, the largest first: a whole sequence fits into each, since it cannot be cut. */
function microBatches(request: MemoryRequest): number[] {
  const { rowTokens, microBatchTokens } = request;
  if (microBatchTokens !== undefined) return [microBatchTokens];
  const sizes: number[] = [];
  for (let size = usefulTokens(request); size > Math.max(rowTokens, smallestMicroBatch); size = Math.floor(size / 2)) {
    sizes.push(size);
  }
  return [...sizes, Math.max(rowTokens, smallestMicroBatch)];
}

/** Large models compute no token faster with more at once (docs/engine.md); but the more of a group, the fewer times is its prompt computed. */
const usefulMicroBatch = { alone: 1024, group: 2048 };
/** Small models gain from more, up to where a micro-batch's activations take about so many bytes. */
const usefulBytes = 256 * 2 ** 20;
const mostUsefulTokens = 8192;

/** The number of tokens at once beyond which more are no faster. */
function usefulTokens({ config, groupSize }: MemoryRequest): number {
  const { layers, hiddenSize, intermediateSize, heads } = config;
  const typicalLength = 256;
  const perToken = 4 * layers * (12 * hiddenSize + 4 * intermediateSize + 4 * heads * typicalLength);
  const least = groupSize > 1 ? usefulMicroBatch.group : usefulMicroBatch.alone;
  return Math.max(least, Math.min(mostUsefulTokens, Math.floor(usefulBytes / perToken)));
}

/** What is there whatever runs. */
function standingParts({ lora, logprobs, heldBytes }: MemoryRequest, profiles: ModelProfiles): MemoryPart[] {
  const { weightBytes, trainableBytes } = profiles;
  // Of an adapter the start is kept, of a whole model it is read when it is asked for.
  const started = lora ? 2 * trainableBytes : logprobs === "reference" ? weightBytes : 0;
  return [
    { name: "weights", bytes: weightBytes + started },
    { name: "everything else", bytes: heldBytes },
  ];
}

interface SamplerPlan {
  parts: MemoryPart[];
  cacheBytes: number;
  prefillTokens: number;
}

/** Keys and values are worth a share of the limit; what computes them, too. */
function planSampler(request: MemoryRequest, profiles: ModelProfiles, shareBytes: number): SamplerPlan {
  const { config, rowTokens, contextLength, maxBatch } = request;
  const position = bytesPerPosition(config);
  const least = capacityFor(contextLength) * position;
  // Finished sequences are kept for their next turn, as many as run.
  const wanted = 2 * maxBatch * capacityFor(rowTokens) * position;
  const most = Math.min(mostCache, shareBytes);
  const cacheBytes = request.cacheBytes ?? Math.floor(Math.max(least, Math.min(wanted, most)));
  const session = profiles.sampling();
  const sampling = (tokens: number): number => samplingBytes(request, session, tokens, cacheBytes);
  const prefillTokens = prefillSizes.find((tokens) => sampling(tokens) <= shareBytes / 2) ?? prefillSizes.at(-1) ?? 256;
  const parts: MemoryPart[] = [
    { name: "sampler's weights", bytes: profiles.packedBytes() },
    { name: "keys and values", bytes: Math.min(cacheBytes, Math.max(least, wanted)) },
    { name: "sampling", bytes: sampling(prefillTokens) },
  ];
  return { parts, cacheBytes, prefillTokens };
}

/** Prefill in pieces, of many short rows or of fewer long ones; and decoding with as many rows as the cache has. */
function samplingBytes(request: MemoryRequest, session: SessionProfile, tokens: number, cacheBytes: number): number {
  const { config, rowTokens, maxBatch } = request;
  const capacity = capacityFor(rowTokens);
  const position = bytesPerPosition(config);
  const decoded = Math.max(1, Math.min(maxBatch, Math.floor(cacheBytes / (capacity * position))));
  const prefilled = (held: number): number =>
    Math.max(1, Math.min(maxBatch, Math.floor(tokens / piece), Math.floor((2 * tokens) / (held + piece))));
  const runs = [
    { B: prefilled(piece), L: piece, C: piece, M: 0 },
    { B: prefilled(capacity), L: piece, C: capacity, M: 0 },
    { B: decoded, L: 1, C: capacity, M: decoded },
  ];
  const arena = Math.max(...runs.map((sizes) => session.runBytes(sizes)));
  const outputs = Math.max(...runs.map((sizes) => session.outputBytes(sizes)));
  // Rows are gathered before they are prefilled.
  const gathered = Math.max(...runs.slice(0, 2).map(({ B, C }) => B * C * position));
  // What the last runs returned lies there until it is collected (measured: up to three).
  return session.fixedBytes + arena + 3 * outputs + gathered;
}

/** What gradients add. */
function trainingParts(request: MemoryRequest, profiles: ModelProfiles, sizes: TrainerSizes): MemoryPart[] {
  const { config, lora, rowTokens, lossTokens, logprobs, entropy } = request;
  const { recompute } = sizes;
  const mostRows = mostLossRows(config, lora !== undefined);
  let activations = inBothLayouts(
    request,
    sizes,
    (layout) => profiles.training(layout, { recompute, entropy }),
    Math.max(mostRows, lossTokens),
  );
  if (logprobs !== "never") {
    activations += inBothLayouts(request, sizes, profiles.logprobs, Math.max(mostRows, rowTokens));
  }
  return [
    { name: "gradients and optimizer", bytes: updateBytes(profiles) },
    { name: "activations", bytes: activations },
  ];
}

/** What a value function adds; it has no logits, so every token of a micro-batch may have a value. */
function criticParts(request: MemoryRequest, { critic }: ModelProfiles, sizes: TrainerSizes): MemoryPart[] {
  const { recompute } = sizes;
  const activations =
    inBothLayouts(request, sizes, (layout) => critic.training(layout, recompute), Infinity) +
    inBothLayouts(request, sizes, critic.values, Infinity);
  return [
    { name: "critic's weights", bytes: critic.trainableBytes },
    { name: "critic's gradients and optimizer", bytes: updateBytes(critic) },
    { name: "critic's activations", bytes: activations },
  ];
}

/** The sum of gradients, two moments, the outputs of the last run, and those of the run before until they are collected. */
const updateBytes = (trained: { trainableBytes: number; optimizerBytes: number }): number =>
  5 * trained.trainableBytes + trained.optimizerBytes;

/** Each layout has its own session, and a session keeps what its largest run took. */
function inBothLayouts(
  { rowTokens, groupSize }: MemoryRequest,
  { microBatchTokens, plainTokens }: TrainerSizes,
  sessionOf: (layout: Layout) => SessionProfile,
  mostRows: number,
): number {
  const worst = (layout: Layout, shapes: readonly BatchShape[]): number => {
    if (shapes.length === 0) return 0;
    const session = sessionOf(layout);
    const runs = shapes.map(({ tokens, ...sizes }) => {
      const predicting = Math.min(tokens, mostRows);
      return session.runBytes({ ...sizes, U: predicting, M: predicting });
    });
    return session.fixedBytes + Math.max(...runs);
  };
  const trees = groupSize > 1 ? treeShapes(microBatchTokens, rowTokens, groupSize) : [];
  return worst("plain", plainShapes(Math.max(plainTokens, rowTokens), rowTokens)) + worst("tree", trees);
}

/** The graph's named sizes but for predicting positions, and how many tokens may predict. */
type BatchShape = Record<string, number> & { tokens: number };

/** Rows as long as can be, and such that the micro-batch is full to the last token. */
function plainShapes(tokens: number, rowTokens: number): BatchShape[] {
  const [fewest, most] = [Math.floor(tokens / rowTokens), Math.ceil(tokens / rowTokens)];
  return [
    { B0: fewest, L0: rowTokens, tokens: fewest * rowTokens },
    { B0: most, L0: Math.floor(tokens / most), tokens },
  ];
}

/**
 * Long rows and short ones; several shares of them that a whole group begins with, and that its halves do, none shorter than what is worth a row; each with as
 * many of its group behind it as fit. None where not even two fit.
 */
function treeShapes(tokens: number, rowTokens: number, groupSize: number): BatchShape[] {
  const shapes: BatchShape[] = [];
  for (const row of [rowTokens, rowTokens / 2, rowTokens / 4]) {
    for (const share of [1 / 8, 1 / 4, 1 / 2, 3 / 4]) {
      const L0 = Math.max(leastShared, Math.ceil(share * row));
      const rest = Math.floor(row) - L0;
      if (rest < 1) continue;
      const S = Math.min(groupSize, Math.floor((tokens - L0) / rest));
      if (S < 2) continue;
      const N = Math.floor(tokens / (L0 + S * rest));
      shapes.push({ B0: N, L0, B1: N * S, L1: rest, B2: 1, L2: 1, tokens: N * S * rest });
      const L1 = Math.max(leastShared, Math.ceil(rest / 2));
      const L2 = rest - L1;
      if (L2 < 1) continue;
      const leaves = Math.min(groupSize, Math.floor((tokens - L0 - 2 * L1) / L2));
      if (leaves < 2) continue;
      const groups = Math.floor(tokens / (L0 + 2 * L1 + leaves * L2));
      shapes.push({
        ...{ B0: groups, L0, B1: 2 * groups, L1, B2: groups * leaves, L2 },
        tokens: groups * leaves * L2,
      });
    }
  }
  return shapes;
}

function doesNotFit(request: MemoryRequest, { totalBytes, limitBytes, parts }: MemoryPlan): UserError {
  const { training, critic, lora, rowTokens, recompute } = request;
  const needs = [...parts].sort((a, b) => b.bytes - a.bytes).map(({ name, bytes }) => `${name} ${formatMemory(bytes)}`);
  const remedies = [
    "allow more with --memory (run.memory)",
    ...(training ? [`shorten the longest attempt (rollout.maxTokens, now ${rowTokens})`] : []),
    ...(training && recompute === "never" ? ["let activations be computed again (run.recompute=auto)"] : []),
    ...(training && critic ? ["train without a critic (algorithm.name=grpo)"] : []),
    ...(training && !lora ? ["train an adapter instead of all weights (model.adapt=lora)"] : []),
    "take a smaller model",
  ];
  return new UserError(
    `${training ? "Training" : "Running"} this model takes at least ${formatMemory(totalBytes)} of memory, but ` +
      `${formatMemory(limitBytes)} may be used: ${needs.join(", ")}. You can ${remedies.slice(0, -1).join("; ")}; or ${remedies.at(-1)}.`,
  );
}
