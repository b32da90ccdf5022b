/**
 * @file A graph of ours in ONNX Runtime. `run` blocks the JavaScript thread for as long as it computes (the runtime's
 * Node binding is synchronous inside), so engines live in a worker.
 */
import { randomUUID } from "node:crypto";
import { rm, writeFile } from "node:fs/promises";
import path from "node:path";
import * as ort from "./onnxruntime.js";
import type { DType } from "../graph/ops.js";
import type { EncodedModel } from "../onnx/emitter.js";

/** How a session computes. */
export interface RuntimeOptions {
  /** Threads inside one operator. */
  threads: number;
  /** Execution provider: one of `providers`. */
  provider: string;
  /**
   * Whether constant weights are laid out anew for the processor: much faster for few rows, and a copy. Without it, constants that lie
   * in a file are mapped into memory and shared by all sessions. Default true.
   */
  prepack?: boolean;
}

/** What is fed: data is used in place, not copied. */
export interface Feed {
  data: Float32Array | Int32Array;
  dims: readonly number[];
}

/** A model that is ready to run. */
export class Session {
  readonly #session: ort.InferenceSession;
  readonly #onRun: (milliseconds: number) => void;

  private constructor(session: ort.InferenceSession, onRun: (milliseconds: number) => void) {
    this.#session = session;
    this.#onRun = onRun;
  }

  /**
   * Prepares a model for running; constants are copied and pre-packed here. `onRun` receives the milliseconds of this and of each
   * run: the time inside the runtime.
   */
  static async create(
    model: EncodedModel,
    options: RuntimeOptions,
    onRun: (milliseconds: number) => void,
  ): Promise<Session> {
    const start = performance.now();
    const session = await load(model, sessionSettings(options));
    onRun(performance.now() - start);
    return new Session(session, onRun);
  }

  /**
   * Runs the graph and returns its outputs by name, row-major and freshly allocated. Feeds that the graph does not use are dropped.
   * @throws Error (internal) when an input is not fed; the runtime's own errors as they are
   */
  async run(feeds: Readonly<Record<string, Feed>>): Promise<Record<string, Float32Array>> {
    const tensors: Record<string, ort.Tensor> = {};
    for (const name of this.#session.inputNames) {
      const feed = feeds[name];
      if (!feed) throw new Error(`internal: the graph's input ${name} is not fed`);
      tensors[name] = new ort.Tensor(tensorType(feed.data), feed.data, feed.dims);
    }
    const start = performance.now();
    const results = await this.#session.run(tensors);
    this.#onRun(performance.now() - start);
    return Object.fromEntries(Object.entries(results).map(([name, value]) => [name, value.data as Float32Array]));
  }

  /** Frees the runtime's memory. */
  async release(): Promise<void> {
    await this.#session.release();
  }
}

/** Constants in files are looked for beside the model, so that is where it is put for a moment. */
async function load(
  { bytes, external, directory }: EncodedModel,
  options: ort.InferenceSession.SessionOptions,
): Promise<ort.InferenceSession> {
  const settings = external.length > 0 ? { ...options, externalData: external } : options;
  if (directory === undefined) return ort.InferenceSession.create(bytes, settings);
  const file = path.join(directory, `${randomUUID()}.onnx`);
  try {
    await writeFile(file, bytes);
    return await ort.InferenceSession.create(file, settings);
  } finally {
    await rm(file, { force: true });
  }
}

function tensorType(data: Float32Array | Int32Array): Extract<DType, "float32" | "int32"> {
  return data instanceof Float32Array ? "float32" : "int32";
}

/** How the runtime is set, for graphs of ours and for files of others. */
export function sessionSettings({ threads, provider, prepack }: RuntimeOptions): ort.InferenceSession.SessionOptions {
  return {
    executionProviders: [provider],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: "sequential",
    graphOptimizationLevel: "all",
    enableCpuMemArena: true,
    // Shapes change from call to call.
    enableMemPattern: false,
    logSeverityLevel: 3,
    // Threads that spin for long between operators take the cores from the main thread and from everything else that runs (1.7 times slower training beside
    // a busy process); threads that sleep at once must be woken for each of hundreds of small operators. So they spin for 20 µs, and not at all between runs.
    extra: {
      session: {
        intra_op: { allow_spinning: "1", spin_duration_us: "20" },
        force_spinning_stop: "1",
        ...(prepack === false ? { disable_prepacking: "1" } : {}),
      },
    },
  };
}
