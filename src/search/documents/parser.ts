/** @file Documents taken apart in processes of their own: parsing may take seconds, and what is parsed may be made to take for ever, or all memory. */
import { UserError } from "../../errors.js";
import { Gate, withDeadline } from "../../async.js";
import { OutOfMemory, WorkerProcess } from "../../workers/process.js";
import { WorkerGone } from "../../workers/thread.js";
import type { SearchOptions } from "../engine.js";
import type { ChunkSettings } from "./chunk.js";
import type { ParseTask, PassageLines } from "./parse-worker.js";
import type { DocumentKind } from "./read.js";

interface ParserOptions {
  /** Processes; each takes one document at a time. Default: 1. */
  workers?: number;
  /** Longest time for one document, from when a worker takes it up. Default: 20 seconds. */
  timeoutMs?: number;
  /** Most memory of a process, in MB; a document that needs more is refused. Default: 1,536. */
  memoryMb?: number;
}

/** Processes that take documents apart. They start with the first document. The caller closes it. */
export class DocumentParser {
  readonly #lanes: Lane[];
  readonly #timeoutMs: number;

  constructor({ workers = 1, timeoutMs = 20_000, memoryMb = 1536 }: ParserOptions = {}) {
    this.#lanes = Array.from({ length: workers }, () => new Lane(memoryMb));
    this.#timeoutMs = timeoutMs;
  }

  /**
   * `htmlToText` in a process.
   * @throws UserError for a page that takes too long; the signal's reason
   */
  htmlToText(html: string, url?: string, options: SearchOptions = {}): Promise<{ title: string; text: string }> {
    return this.#run({ do: "html-to-text", html, url }, options);
  }

  /**
   * `readDocument` in a process, which reads the file itself, as lines of a corpus with the ids `path#1`, `path#2`, …
   * @throws UserError saying what is wrong with the file, without its name; what reading it throws; the signal's reason
   */
  passages(
    document: { file: string; kind: DocumentKind; path: string; url?: string },
    settings: ChunkSettings,
    options: SearchOptions = {},
  ): Promise<PassageLines> {
    return this.#run({ do: "passages", ...document, settings }, options);
  }

  async close(): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.close()));
  }

  #run<Answer>(task: ParseTask, { signal }: SearchOptions): Promise<Answer> {
    const lane = this.#lanes.reduce((best, other) => (other.documents < best.documents ? other : best));
    return lane.run(task, this.#timeoutMs, signal) as Promise<Answer>;
  }
}

/** One process, and the documents that wait for it. */
class Lane {
  /** One after another: a document's deadline begins when its turn comes, and ending the process stops no other document. */
  readonly #gate = new Gate(1);
  readonly #memoryMb: number;
  #worker: WorkerProcess<ParseTask, unknown> | undefined;
  /** Documents that the process has taken up, and kinds whose readers it has loaded. */
  #taken = 0;
  readonly #loaded = new Set<DocumentKind>();
  #closed = false;

  constructor(memoryMb: number) {
    this.#memoryMb = memoryMb;
  }

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
    const module = new URL("./parse-worker", import.meta.url);
    const worker = (this.#worker ??= new WorkerProcess({ name: "documents", module, memoryMb: this.#memoryMb }));
    let late: UserError | undefined;
    try {
      const kind = "kind" in task ? task.kind : "html";
      if (!this.#loaded.has(kind)) await worker.run({ do: "load", kind }, { signal });
      this.#loaded.add(kind);
      this.#taken++;
      const tooLong = `it takes longer than ${timeoutMs / 1000} s to take apart`;
      const options = { timeoutMs, signal, late: () => (late = new UserError(tooLong)) };
      return await withDeadline((inner) => worker.run(task, { signal: inner }), options);
    } catch (error) {
      const isFresh = this.#taken <= 1;
      // Only ending the process stops what it does.
      if (error === late || signal?.aborted || error instanceof WorkerGone) await this.#endWorker();
      if (!(error instanceof OutOfMemory)) throw error;
      // Some of the memory may be what earlier documents left.
      if (!isFresh) return this.#parse(task, timeoutMs, signal);
      throw new UserError(`it takes more than ${this.#memoryMb} MB of memory to take apart`, { cause: error });
    }
  }

  /** The next document starts another one. */
  async #endWorker(): Promise<void> {
    const worker = this.#worker;
    this.#worker = undefined;
    this.#taken = 0;
    this.#loaded.clear();
    await worker?.close();
  }
}
