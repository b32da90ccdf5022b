/** @file The local policy: the six verbs over an engine in a worker of its own. */
import { locateBase } from "../../engine/io/adapter-base.js";
import { isAdapterFolder } from "../../engine/io/adapter-folder.js";
import { loadTokenizer } from "../../engine/io/tokenizer.js";
import { requireProvider } from "../../engine/runtime/provider.js";
import type { Policy } from "../../contracts/policy.js";
import { UserError } from "../../errors.js";
import { WorkerGone, WorkerThread } from "../../workers/thread.js";
import type { LocalOptions, OpenedPolicy, Verb, VerbCall, WorkerVerbs } from "./protocol.js";

export type { LocalOptions } from "./protocol.js";

/**
 * Opens a model as a policy. Its weights now are the frozen reference. The base of an adapter folder is found by what the adapter names, and
 * fetched where it is the Hub's, unless `base` says where it is.
 * @throws UserError when the folder's files are missing or do not fit together, when there is too little memory, and for an execution provider
 *   whose numbers are not right.
 */
export async function createLocalPolicy(given: LocalOptions): Promise<Policy> {
  if (given.provider !== undefined) requireProvider(given.provider, "provider");
  const options = await withBase(given);
  const { model, base } = options;
  const tokenizer = base === undefined ? await loadTokenizer(model) : await loadTokenizer(base, model);
  const worker = new WorkerThread<VerbCall, unknown, OpenedPolicy>({
    name: "policy",
    module: new URL("./worker", import.meta.url),
    data: options,
    isNative: true,
    // Each call of the runtime allocates its outputs: a roomy nursery spares the collector a fifth of the time outside the runtime.
    youngGenerationMb: 64,
  });
  const { contextLength, memory, precision, notes } = await worker.ready;
  const call = <K extends Verb>(verb: K, values: Parameters<WorkerVerbs[K]>, signal?: AbortSignal) =>
    worker.run({ verb, values } as VerbCall, { signal }) as ReturnType<WorkerVerbs[K]>;
  const caller =
    <K extends Verb>(verb: K) =>
    (...values: Parameters<WorkerVerbs[K]>) =>
      call(verb, values);

  /** The engine frees the runtime's memory and its temporary files before its thread ends. */
  async function close(): Promise<void> {
    try {
      await call("close", []);
    } catch (error) {
      // A worker that has died has nothing left to free.
      if (!(error instanceof WorkerGone)) throw error;
    } finally {
      await worker.close();
    }
  }
  let closed: Promise<void> | undefined;

  return {
    tokenizer,
    capabilities: { engine: "local", training: true, reference: true, exactResume: true, entropy: true },
    contextLength,
    memory,
    precision,
    notes,
    critic: options.critic
      ? {
          values: caller("critic.values"),
          forwardBackward: caller("critic.forwardBackward"),
          optimStep: caller("critic.optimStep"),
          save: caller("critic.save"),
          load: caller("critic.load"),
        }
      : undefined,
    // The worker reads ids: the texts need not travel to it.
    sample: (prefix_T, { signal, ...rest }) => call("sample", [prefix_T, { ...rest, prefixTexts: undefined }], signal),
    logprobs: caller("logprobs"),
    forwardBackward: caller("forwardBackward"),
    optimStep: caller("optimStep"),
    save: caller("save"),
    load: caller("load"),
    stats: caller("stats"),
    close: () => (closed ??= close()),
  };
}

async function withBase(options: LocalOptions): Promise<LocalOptions> {
  const { model, base } = options;
  if (isAdapterFolder(model)) {
    if (base !== undefined) return options;
    const found = await locateBase(model);
    return { baseName: found.name, ...options, base: found.location };
  }
  if (base === undefined) return options;
  throw new UserError(
    `${model} is no adapter, so there is nothing to put on the base ${base}. Leave \`base\` out, or give the adapter's folder as \`model\`.`,
  );
}
