/** @file The local policy: the six verbs over an engine in a worker of its own. */
import { loadTokenizer } from "../../engine/io/tokenizer.js";
import type { Datum, Tokenizer } from "../../types.js";
import type { Critic } from "../../contracts/critic.js";
import type {
  AdamOptions,
  Capabilities,
  ForwardBackwardResult,
  LogprobOptions,
  LossSpec,
  MemoryPlan,
  OptimStepResult,
  Policy,
  PolicyStats,
  Sample,
  SampleOptions,
} from "../../contracts/policy.js";
import { WorkerGone, WorkerThread } from "../../workers/thread.js";
import type { LocalOptions, OpenedPolicy, Verb, VerbCall, WorkerVerbs } from "./protocol.js";

export type { LocalOptions } from "./protocol.js";

type PolicyWorker = WorkerThread<VerbCall, unknown, OpenedPolicy>;

/**
 * Opens a model as a policy. Its weights now are the frozen reference.
 * @throws UserError when the folder's files are missing or do not fit together, and when there is too little memory.
 */
export async function createLocalPolicy(options: LocalOptions): Promise<Policy> {
  const tokenizer = await loadTokenizer(options.base ?? options.model);
  const worker: PolicyWorker = new WorkerThread({
    name: "policy",
    module: new URL("./worker", import.meta.url),
    data: options,
    // Each call of the runtime allocates its outputs: a roomy nursery spares the collector a fifth of the time outside the runtime.
    youngGenerationMb: 64,
  });
  return new LocalPolicy(worker, await worker.ready, tokenizer, options.critic ?? false);
}

class LocalPolicy implements Policy {
  readonly tokenizer: Tokenizer;
  readonly capabilities: Capabilities = {
    engine: "local",
    training: true,
    reference: true,
    exactResume: true,
    entropy: true,
  };
  readonly contextLength: number;
  readonly memory: MemoryPlan;
  readonly critic?: Critic;
  readonly #worker: PolicyWorker;
  #closed: Promise<void> | undefined;

  constructor(worker: PolicyWorker, opened: OpenedPolicy, tokenizer: Tokenizer, hasCritic: boolean) {
    this.#worker = worker;
    this.tokenizer = tokenizer;
    this.contextLength = opened.contextLength;
    this.memory = opened.memory;
    if (hasCritic) this.critic = this.#makeCritic();
  }

  sample(prefix_T: readonly number[], { signal, ...options }: SampleOptions): Promise<Sample> {
    return this.#call("sample", [prefix_T, options], signal);
  }

  logprobs(sequences: readonly (readonly number[])[], options: LogprobOptions = {}): Promise<Float32Array[]> {
    return this.#call("logprobs", [sequences, options]);
  }

  forwardBackward(data_D: readonly Datum[], loss: LossSpec): Promise<ForwardBackwardResult> {
    return this.#call("forwardBackward", [data_D, loss]);
  }

  optimStep(options: AdamOptions): Promise<OptimStepResult> {
    return this.#call("optimStep", [options]);
  }

  save(folder: string, options: { optimizer?: boolean } = {}): Promise<void> {
    return this.#call("save", [folder, options]);
  }

  load(folder: string): Promise<void> {
    return this.#call("load", [folder]);
  }

  stats(): Promise<PolicyStats> {
    return this.#call("stats", []);
  }

  close(): Promise<void> {
    return (this.#closed ??= this.#close());
  }

  /** The engine frees the runtime's memory and its temporary files before its thread ends. */
  async #close(): Promise<void> {
    try {
      await this.#call("close", []);
    } catch (error) {
      // A worker that has died has nothing left to free.
      if (!(error instanceof WorkerGone)) throw error;
    } finally {
      await this.#worker.close();
    }
  }

  #makeCritic(): Critic {
    return {
      values: (...given) => this.#call("critic.values", given),
      forwardBackward: (...given) => this.#call("critic.forwardBackward", given),
      optimStep: (...given) => this.#call("critic.optimStep", given),
      save: (...given) => this.#call("critic.save", given),
      load: (...given) => this.#call("critic.load", given),
    };
  }

  #call<K extends Verb>(verb: K, values: Parameters<WorkerVerbs[K]>, signal?: AbortSignal): ReturnType<WorkerVerbs[K]> {
    return this.#worker.run({ verb, values } as VerbCall, { signal }) as ReturnType<WorkerVerbs[K]>;
  }
}
