/** @file The engine's worker: ONNX Runtime blocks the thread it is called on, so it has one of its own. */
import { parentPort, workerData } from "node:worker_threads";
import { LocalEngine } from "./engine.js";
import { toWire, type EngineVerbs, type LocalOptions, type Reply, type Request } from "./protocol.js";

const port = parentPort;
if (!port) throw new Error("internal: the engine's worker was started as a main thread");
/** Replies of one turn of the event loop travel together: waking the main thread costs more than the message. */
const outbox: Reply[] = [];
function reply(message: Reply): void {
  if (outbox.push(message) === 1) setImmediate(flush);
}
function flush(): void {
  port?.postMessage(outbox.splice(0));
}

/** Sampling runs beside everything else; the verbs that touch weights run one after another, in order of arrival. */
let exclusive: Promise<unknown> = Promise.resolve();
const aborts = new Map<number, AbortController>();

async function start(): Promise<void> {
  const engine = await LocalEngine.open(workerData as LocalOptions);
  port?.on("message", (request: Request) => void handle(engine, request));
  reply({ ready: true, contextLength: engine.contextLength, memory: engine.memory });
}

async function handle(engine: LocalEngine, request: Request): Promise<void> {
  if (request.verb === "abort") {
    aborts.get(request.target)?.abort();
    return;
  }
  try {
    reply({ id: request.id, result: await perform(engine, request) });
  } catch (error) {
    reply({ id: request.id, error: toWire(error) });
  }
  if (request.verb === "close") {
    flush();
    port?.close();
  }
}

function perform(engine: LocalEngine, request: Exclude<Request, { verb: "abort" }>): Promise<unknown> {
  if (request.verb === "sample") return sample(engine, request.id, request.arguments);
  if (request.verb === "stats") return engine.stats();
  const result = exclusive.then(() => call(engine, request.verb, request.arguments));
  exclusive = result.catch(() => {});
  return result;
}

type Exclusive = Exclude<Request["verb"], "abort" | "sample" | "stats">;

function call(engine: LocalEngine, verb: Exclusive, values: readonly unknown[]): Promise<unknown> {
  const [target, name] = verb.startsWith("critic.") ? [engine.critic, verb.slice("critic.".length)] : [engine, verb];
  if (!target) throw new Error(`internal: ${verb} without a critic`);
  return (target as unknown as Record<string, (...values: unknown[]) => Promise<unknown>>)[name](...values);
}

async function sample(
  engine: LocalEngine,
  id: number,
  [prefix_T, options]: Parameters<EngineVerbs["sample"]>,
): Promise<unknown> {
  const controller = new AbortController();
  aborts.set(id, controller);
  try {
    // What was asked before this call, an optimizer step above all, comes first.
    await exclusive;
    return await engine.sample(prefix_T, { ...options, signal: controller.signal });
  } finally {
    aborts.delete(id);
  }
}

start().catch((error: unknown) => reply({ id: -1, error: toWire(error) }));
