/** @file What a local policy is opened with, and what the main thread asks of its worker. */
import type { MemoryRequest, Workload } from "../../engine/memory/plan.js";
import type { Precision } from "../../engine/model/int8.js";
import type { LoraConfig } from "../../engine/model/lora.js";
import type { Critic } from "../../contracts/critic.js";
import type { MemoryPlan, Policy } from "../../contracts/policy.js";

export interface LocalOptions {
  /** A Hugging Face folder, a `.gguf` file or a PEFT adapter folder, on this machine. */
  model: string;
  /** Where the base of an adapter folder is, on this machine. Default: what the adapter names. */
  base?: string;
  /** What saved adapters call their base: `hf:ORG/NAME` or a path. Default: `base`, else `model`. */
  baseName?: string;
  /** What is trained: all weights, or an adapter (LoRA) over frozen ones. Default "auto": all below 20M parameters. */
  adapt?: "auto" | "lora" | "full";
  /** Of a fresh adapter; an adapter folder has its own. Default: rank 16, alpha 32, every linear layer. */
  lora?: LoraConfig;
  /**
   * In what frozen weights are multiplied. Default "auto": in 8 bits where that pays on this machine, for models of 20M parameters and more
   * that will be trained; an adapter folder as it was trained.
   */
  precision?: "auto" | Precision;
  /** Texts as the model will read them, in tokens: 8-bit weights are fitted to what they bring about. Default: some English ones. */
  calibration?: readonly (readonly number[])[];
  /** A folder that `save` wrote and `load` will be given: 8-bit weights are those that it was trained over. */
  continues?: string;
  /** Draws a fresh adapter. Default 0. */
  seed?: number;
  /**
   * Opens a value function beside the policy, which begins as the policy does: another adapter over the same frozen weights, or another
   * copy of all of them. Default false.
   */
  critic?: boolean;
  /** Threads of the runtime. Default: the machine's, at most 8. */
  threads?: number;
  /** ONNX Runtime's execution provider. Default "cpu", and the only one whose gradients are right. */
  provider?: string;
  /** Most tokens of prefix and sample together. Default: the model's positions, at most 4096. */
  contextLength?: number;
  /** Most sequences that are sampled at once. Default 128. */
  maxBatch?: number;
  /** Most bytes to plan for; sizes below are chosen to fit. Default: most of the machine's memory. */
  memoryBytes?: number;
  /** What will be asked of the policy, as far as it is known: memory is planned for it. */
  workload?: Partial<Workload>;
  /** Whether the backward pass computes activations again, which takes less memory and more time. Default "auto": where memory asks for it. */
  recompute?: MemoryRequest["recompute"];
  /** Most tokens of one training micro-batch, padding included. Default: as the plan of memory says. */
  microBatchTokens?: number;
  /** Most bytes of keys and values of the sampler. Default: as the plan of memory says, at most 1 GiB. */
  cacheBytes?: number;
}

type EngineVerbs = Pick<
  Policy,
  "sample" | "logprobs" | "forwardBackward" | "optimStep" | "save" | "load" | "stats" | "close"
>;
/** The verbs of the worker: the engine's, and its critic's. A signal of `sample` travels beside the call. */
export type WorkerVerbs = EngineVerbs & { [K in keyof Critic as `critic.${K}`]: Critic[K] };
export type Verb = keyof WorkerVerbs;

/** What the worker is asked to do. */
export type VerbCall = { [K in Verb]: { verb: K; values: Parameters<WorkerVerbs[K]> } }[Verb];

/** What the worker says of the model when it is open. */
export interface OpenedPolicy {
  contextLength: number;
  memory: MemoryPlan;
  precision: Precision;
  notes: readonly string[];
}
