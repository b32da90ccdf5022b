/**
 * @file The contract of a policy: six verbs, spoken by the local engine, by scripted replays and by
 * remote training services alike. The shape is the Tinker API's. No algorithm knows which it has.
 */
import type { Datum, Role, Tokenizer } from "../types.js";
import type { Critic } from "./critic.js";

/** When to stop sampling. What completes a stop condition is kept: it was sampled, so it is trained. */
export interface StopConditions {
  /** Token ids, for example the end of text. */
  tokens?: readonly number[];
  /** Strings; they may span tokens. */
  strings?: readonly string[];
}

export interface SampleOptions {
  /** Most tokens to sample. */
  maxTokens: number;
  stop?: StopConditions;
  /** 0 is greedy; 1 samples the model's own distribution. Default 1. */
  temperature?: number;
  /** Nucleus mass in (0, 1]; 1 keeps everything. Default 1. */
  topP?: number;
  /** Keep the k likeliest tokens; 0 keeps everything. Default 0. */
  topK?: number;
  /** Seed of this sequence's own random stream: with the prefix it determines the tokens. Default 0. */
  seed?: number;
  /** Cancels this sequence only; `sample` then rejects with the signal's reason. */
  signal?: AbortSignal;
  /** The prefix as text, by its authors and in order: a policy behind a server reads this where the server takes no ids. */
  prefixTexts?: readonly { role: Role; text: string }[];
}

export type StopReason = "stop" | "length";

export interface Sample {
  tokens_T: number[];
  /** Log-probability of each token under the very distribution it was drawn from (greedy: at temperature 1). */
  logprobs_T: number[];
  /** `stop`: a stop condition was met; `length`: maxTokens or the context is used up. No token at all and `length`: there is no room to write. */
  stopReason: StopReason;
  /**
   * Set by a policy that does not know which ids were sampled, or at which log-probabilities: what was written. `tokens_T` are then a reading of it
   * by `tokenizer`, which may be more than `maxTokens`, and `logprobs_T` zeros. A trajectory of such samples is `textOnly`.
   */
  text?: string;
}

/**
 * Losses that an engine computes in one pass. All are sums over tokens; the caller folds the aggregation
 * (token mean, sequence mean, …) into `weights_T` or `advantages_T`.
 */
export type LossSpec =
  /** −Σ weights·logp */
  | { kind: "cross_entropy" }
  /** −Σ exp(logp − logp_old)·A */
  | { kind: "importance_sampling" }
  /** −Σ min(r·A, clip(r, 1 − clipLow, 1 + clipHigh)·A) with r = exp(logp − logp_old) */
  | { kind: "ppo"; clipLow: number; clipHigh: number }
  /** −Σ stop_gradient(clip(r, 1 − clipLow, 1 + clipHigh))·A·logp */
  | { kind: "cispo"; clipLow: number; clipHigh: number };

export interface ForwardBackwardResult {
  /** The summed loss. */
  loss: number;
  /** Current log-probability of every token, aligned with the datum's tokens (0 where nothing was computed). */
  logprobs_D_T: Float32Array[];
  /** Entropy (nats) of the distribution that each token was predicted from; only where data have `entropyWeights_T`. */
  entropies_D_T?: Float32Array[];
}

/** AdamW (Loshchilov & Hutter, arXiv:1711.05101, algorithm 2). */
export interface AdamOptions {
  learningRate: number;
  beta1: number;
  beta2: number;
  epsilon: number;
  /** Decoupled; applied to matrices only, not to norms and biases. */
  weightDecay: number;
  /** Gradients are scaled so that their global L2 norm does not exceed this; 0 switches clipping off. */
  maxGradNorm: number;
}

export interface OptimStepResult {
  /** Global L2 norm before clipping. */
  gradNorm: number;
}

interface Capabilities {
  /** Name for error messages: "local", "scripted", … */
  engine: string;
  /** Whether forwardBackward, optimStep exist. */
  training: boolean;
  /** Whether `logprobs` can answer for the frozen start. */
  reference: boolean;
  /** Whether save and load keep optimizer state, so that a resumed run is bit-exact. */
  exactResume: boolean;
  /** Whether `forwardBackward` honours `entropyWeights_T`. */
  entropy: boolean;
}

export interface LogprobOptions {
  /** Of the frozen start instead of the current policy. Default false. */
  reference?: boolean;
  /** 1 where a log-probability is wanted, for each sequence; elsewhere 0 is returned and nothing is computed. Default: everywhere. */
  masks_D_T?: readonly Uint8Array[];
}

/** Counters since the policy was made; all monotone. */
export interface PolicyStats {
  /** Prompt and observation tokens whose keys and values were computed. */
  prefillTokens: number;
  /** Prefix tokens found in a live slot and not computed again. */
  reusedTokens: number;
  sampledTokens: number;
  /** Steps in which every running sequence got a token, where sequences are batched here. */
  decodeSteps?: number;
  /** US dollars that a server was paid, where its prices are known. */
  spentUsd?: number;
  trainedTokens: number;
  /** Tokens that went through the model for gradients and log-probabilities, padding aside, and those that needed not: other sequences began with them. */
  computedTokens: number;
  sharedTokens: number;
  /** Milliseconds inside the runtime's own calls while sampling, and while training. */
  sampleRuntimeMs: number;
  trainRuntimeMs: number;
}

/** What a server says that it has used and done since the policy was opened. */
export interface ServerUsage {
  /** Replies that were completions. */
  replies: number;
  promptTokens: number;
  completionTokens: number;
  /** Replies that did not say what they used: their tokens are missing above. */
  uncounted: number;
  /** US dollars for the tokens that were counted, where their prices are known. */
  spentUsd?: number;
  /** Turns that went on past a stop string, and were cut there. */
  ranOn: number;
  /** Replies that began with the prompt, which was taken off. */
  echoed: number;
  /** Turns that were not written since the server had no room for the prompt: their attempts ran out of tokens. */
  noRoom: number;
}

/** What a part of a policy is expected to take. */
export interface MemoryPart {
  name:
    | "weights"
    | "sampler's weights"
    | "keys and values"
    | "sampling"
    | "gradients and optimizer"
    | "activations"
    | "critic's weights"
    | "critic's gradients and optimizer"
    | "critic's activations"
    | "everything else";
  bytes: number;
}

/** What is expected at the fullest moment, and the sizes that it is expected for. */
export interface MemoryPlan {
  limitBytes: number;
  totalBytes: number;
  parts: MemoryPart[];
  /** Most tokens of one training micro-batch, padding included. */
  microBatchTokens: number;
  /** Most tokens of one whose sequences share no prompt. */
  plainTokens: number;
  /** Whether the backward pass computes activations again. */
  recompute: boolean;
  /** Most bytes of keys and values of the sampler. */
  cacheBytes: number;
  /** Most new tokens per prefill run of the sampler. */
  prefillTokens: number;
}

export interface Policy {
  readonly tokenizer: Tokenizer;
  readonly capabilities: Capabilities;
  /** Most tokens of prefix and sample together. */
  readonly contextLength: number;
  /** What the engine expects to take in memory, where it computes on this machine. */
  readonly memory?: MemoryPlan;
  /** In what frozen weights are multiplied, where the engine computes on this machine; float32 where none are frozen. */
  readonly precision?: "int8" | "float32";
  /** What its opening found out, a sentence each. */
  readonly notes?: readonly string[];
  /** The value function, where the policy was opened with one. */
  readonly critic?: Critic;

  /** Continues `prefix_T`. Concurrent calls are batched; the result does not depend on what else is in the batch. */
  sample(prefix_T: readonly number[], options: SampleOptions): Promise<Sample>;

  /** Log-probability of every token given those before it (index 0 is 0), now or under the frozen start. */
  logprobs(sequences: readonly (readonly number[])[], options?: LogprobOptions): Promise<Float32Array[]>;

  /** Adds the gradient of the loss over all data to the accumulated gradient. */
  forwardBackward(data_D: readonly Datum[], loss: LossSpec): Promise<ForwardBackwardResult>;

  /** One optimizer step with the accumulated gradient, which is then cleared. */
  optimStep(options: AdamOptions): Promise<OptimStepResult>;

  /** Writes weights, tokenizer and optimizer state into a new folder (the caller makes it atomic). */
  save(folder: string, options?: { optimizer?: boolean }): Promise<void>;

  /** Restores what `save` wrote. Weights that were saved alone start with a fresh optimizer. */
  load(folder: string): Promise<void>;

  stats(): Promise<PolicyStats>;

  /** What a server has used, of a policy behind one. */
  readonly usage?: () => ServerUsage;

  /** Releases the engine; pending calls reject. */
  close(): Promise<void>;
}
