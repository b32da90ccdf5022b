/** @file The policy's worker: ONNX Runtime blocks the thread it is called on, so it has one of its own. */
import { serveTasks, type Call, type Handler } from "../../workers/serve-tasks.js";
import { LocalEngine } from "./engine.js";
import type { LocalOptions, OpenedPolicy, Verb, VerbCall } from "./protocol.js";

await serveTasks(async (options: LocalOptions): Promise<Handler<VerbCall, unknown, OpenedPolicy>> => {
  const engine = await LocalEngine.open(options);
  const { contextLength, memory, precision, notes } = engine;
  /** The last of the verbs that touch weights: they run one after another, in order of arrival, and sampling beside them. */
  let exclusive: Promise<unknown> = Promise.resolve();
  return {
    ready: { contextLength, memory, precision, notes },
    isConcurrent: true,
    async run(request: VerbCall, call: Call): Promise<unknown> {
      if (request.verb === "stats") return engine.stats();
      if (request.verb === "sample") {
        const [prefix_T, sampleOptions] = request.values;
        // What was asked before this call, an optimizer step above all, comes first.
        await exclusive;
        return engine.sample(prefix_T, { ...sampleOptions, signal: call.signal });
      }
      const result = exclusive.then(() => perform(engine, request.verb, request.values));
      exclusive = result.catch(() => {});
      return result;
    },
  };
});

function perform(engine: LocalEngine, verb: Verb, values: readonly unknown[]): Promise<unknown> {
  const [target, name] = verb.startsWith("critic.") ? [engine.critic, verb.slice("critic.".length)] : [engine, verb];
  if (!target) throw new Error(`internal: ${verb} without a critic`);
  return (target as unknown as Record<string, (...values: unknown[]) => Promise<unknown>>)[name](...values);
}
