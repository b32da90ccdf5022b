/** @file The local policy: the six verbs over an engine in a worker of this process. */
import { Worker } from "node:worker_threads";
import { orAborted } from "../../async.js";
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
import { fromWire, type LocalOptions, type Reply, type Verb, type WorkerVerbs } from "./protocol.js";

export type { LocalOptions } from "./protocol.js";

/**
 * Opens a model as a policy. Its weights now are the frozen reference.
 * @throws UserError when the folder's files are missing or do not fit together, and when there is too little memory.
 */
export async function createLocalPolicy(options: LocalOptions): Promise<Policy> {
  const tokenizer = await loadTokenizer(options.base ?? options.model);
  const worker = startWorker(options);
  const policy = new LocalPolicy(worker, tokenizer, options.critic ?? false);
  await policy.ready;
  return policy;
}

function startWorker(options: LocalOptions): Worker {
  const entry = import.meta.url.endsWith(".ts") ? "./worker-boot.mjs" : "./worker.js";
  return new Worker(new URL(entry, import.meta.url), {
    workerData: options,
    // Each call of the runtime allocates its outputs: a roomy nursery spares the collector a fifth of the time outside the runtime.
    resourceLimits: { maxYoungGenerationSizeMb: 64 },
  });
}

interface Pending {
  resolve: (result: never) => void;
  reject: (error: unknown) => void;
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
  contextLength = 0;
  memory?: MemoryPlan;
  readonly critic?: Critic;
  readonly ready: Promise<void>;
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  #nextId = 0;
  #closed: Error | undefined;

  constructor(worker: Worker, tokenizer: Tokenizer, hasCritic: boolean) {
    this.#worker = worker;
    this.tokenizer = tokenizer;
    if (hasCritic) this.critic = this.#makeCritic();
    this.ready = new Promise((resolve, reject) => {
      worker.on("message", (replies: readonly Reply[]) => {
        for (const reply of replies) {
          if ("ready" in reply) {
            this.contextLength = reply.contextLength;
            this.memory = reply.memory;
            resolve();
          } else if (reply.id < 0 && "error" in reply) {
            reject(fromWire(reply.error));
            void worker.terminate();
          } else this.#settle(reply);
        }
      });
      worker.on("error", (error: unknown) => {
        const failure = error instanceof Error ? error : new Error(String(error));
        reject(failure);
        this.#end(failure);
      });
      worker.on("exit", () => this.#end(new Error("The policy's engine has stopped.")));
    });
  }

  sample(prefix_T: readonly number[], { signal, ...options }: SampleOptions): Promise<Sample> {
    if (signal?.aborted) return Promise.reject(signal.reason as Error);
    const { id, result } = this.#call("sample", [prefix_T, options]);
    return orAborted(result, signal, () => this.#worker.postMessage({ id: this.#nextId++, verb: "abort", target: id }));
  }

  logprobs(sequences: readonly (readonly number[])[], options: LogprobOptions = {}): Promise<Float32Array[]> {
    return this.#call("logprobs", [sequences, options]).result;
  }

  forwardBackward(data_D: readonly Datum[], loss: LossSpec): Promise<ForwardBackwardResult> {
    return this.#call("forwardBackward", [data_D, loss]).result;
  }

  optimStep(options: AdamOptions): Promise<OptimStepResult> {
    return this.#call("optimStep", [options]).result;
  }

  save(folder: string, options: { optimizer?: boolean } = {}): Promise<void> {
    return this.#call("save", [folder, options]).result;
  }

  load(folder: string): Promise<void> {
    return this.#call("load", [folder]).result;
  }

  stats(): Promise<PolicyStats> {
    return this.#call("stats", []).result;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    const exited = new Promise<void>((resolve) => this.#worker.once("exit", () => resolve()));
    await this.#call("close", []).result;
    await exited;
  }

  #makeCritic(): Critic {
    return {
      values: (...given) => this.#call("critic.values", given).result,
      forwardBackward: (...given) => this.#call("critic.forwardBackward", given).result,
      optimStep: (...given) => this.#call("critic.optimStep", given).result,
      save: (...given) => this.#call("critic.save", given).result,
      load: (...given) => this.#call("critic.load", given).result,
    };
  }

  #call<K extends Verb>(
    verb: K,
    values: Parameters<WorkerVerbs[K]>,
  ): { id: number; result: ReturnType<WorkerVerbs[K]> } {
    const id = this.#nextId++;
    if (this.#closed) return { id, result: Promise.reject(this.#closed) as ReturnType<WorkerVerbs[K]> };
    const result = new Promise<never>((resolve, reject) => this.#pending.set(id, { resolve, reject }));
    this.#worker.postMessage({ id, verb, arguments: values });
    return { id, result: result as unknown as ReturnType<WorkerVerbs[K]> };
  }

  #settle(reply: Exclude<Reply, { ready: true }>): void {
    const pending = this.#pending.get(reply.id);
    this.#pending.delete(reply.id);
    if ("error" in reply) pending?.reject(fromWire(reply.error));
    else pending?.resolve(reply.result as never);
  }

  #end(error: Error): void {
    this.#closed ??= error;
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
  }
}
