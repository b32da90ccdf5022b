/** @file Documents taken apart in worker threads: parsing may take seconds, and what is parsed may be made to take for ever. */
import { UserError } from "../../errors.js";
import { Gate, withDeadline } from "../../async.js";
import { WorkerPool } from "../../workers/pool.js";
import type { SearchOptions } from "../engine.js";
import type { ChunkSettings } from "./chunk.js";
import type { ParseTask, PassageLines } from "./parse-worker.js";
import type { DocumentKind } from "./read.js";

interface ParserOptions {
  /** Threads; each takes one document at a time. Default: 1. */
  workers?: number;
  /** Longest time for one document, from when a worker takes it up. Default: 20 seconds. */
  timeoutMs?: number;
}

/** Threads that take documents apart. They start with the first document. The caller closes it. */
export class DocumentParser {
  readonly #lanes: Lane[];
  readonly #timeoutMs: number;

  constructor({ workers = 1, timeoutMs = 20_000 }: ParserOptions = {}) {
    this.#lanes = Array.from({ length: workers }, () => new Lane());
    this.#timeoutMs = timeoutMs;
  }

  /**
   * `htmlToText` in a worker.
   * @throws UserError for a page that takes too long; the signal's reason
   */
  htmlToText(html: string, url?: string, options: SearchOptions = {}): Promise<{ title: string; text: string }> {
    return this.#run({ do: "html-to-text", html, url }, options);
  }

  /**
   * `readDocument` in a worker, as lines of a corpus with the ids `path#1`, `path#2`, …
   * @param bytes of the file; their buffer is handed over
   * @throws UserError saying what is wrong with the file, without its name; the signal's reason
   */
  passages(
    bytes: Uint8Array<ArrayBuffer>,
    file: { kind: DocumentKind; path: string; url?: string },
    settings: ChunkSettings,
    options: SearchOptions = {},
  ): Promise<PassageLines> {
    return this.#run({ do: "passages", bytes, ...file, settings }, options);
  }

  async close(): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.close()));
  }

  #run<Answer>(task: ParseTask, { signal }: SearchOptions): Promise<Answer> {
    const lane = this.#lanes.reduce((best, other) => (other.documents < best.documents ? other : best));
    return lane.run(task, this.#timeoutMs, signal) as Promise<Answer>;
  }
}

/** One worker, and the documents that wait for it. */
class Lane {
  /** One after another: a document's deadline begins when its turn comes, and ending the worker stops no other document. */
  readonly #gate = new Gate(1);
  #pool: Promise<WorkerPool<ParseTask, unknown>> | undefined;
  #closed = false;

  /** Documents that wait or are worked on. */
  get documents(): number {
    return this.#gate.size;
  }

  run(task: ParseTask, timeoutMs: number, signal: AbortSignal | undefined): Promise<unknown> {
    return this.#gate.run(() => this.#parse(task, timeoutMs, signal), { signal });
  }

  /** For good: what waits fails. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#endWorker();
  }

  async #parse(task: ParseTask, timeoutMs: number, signal: AbortSignal | undefined): Promise<unknown> {
    if (this.#closed) throw new Error("The document was waiting for its turn when its DocumentParser was closed.");
    const pool = await this.#opened();
    await pool.run({ do: "load", kind: "kind" in task ? task.kind : "html" }, { signal });
    const late = new UserError(`it takes longer than ${timeoutMs / 1000} s to take apart`);
    const transfer = "bytes" in task ? [task.bytes.buffer as ArrayBuffer] : [];
    try {
      const options = { timeoutMs, signal, late: () => late };
      return await withDeadline((inner) => pool.run(task, { transfer, signal: inner }), options);
    } catch (error) {
      // Only ending the worker stops what it does.
      if (error === late || signal?.aborted) await this.#endWorker();
      throw error;
    }
  }

  async #opened(): Promise<WorkerPool<ParseTask, unknown>> {
    try {
      return await (this.#pool ??= openPool());
    } catch (error) {
      // The next document gets another chance.
      this.#pool = undefined;
      throw error;
    }
  }

  /** The next document starts another one. */
  async #endWorker(): Promise<void> {
    const pool = this.#pool;
    this.#pool = undefined;
    await (await pool?.catch(() => undefined))?.close();
  }
}

async function openPool(): Promise<WorkerPool<ParseTask, unknown>> {
  const module = new URL("./parse-worker", import.meta.url);
  return WorkerPool.open({ name: "documents", module, workers: 1, data: {} });
}
