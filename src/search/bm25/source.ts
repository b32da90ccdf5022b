/** @file What is indexed: JSONL files, or passages that a program hands over; cut into stretches that one worker inverts at a time. */
import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { UserError } from "../../errors.js";
import { locateDocument, shape, sizeOf } from "../documents/corpus.js";
import { readLineBlocks } from "../../files/lines.js";
import type { SourcePlace } from "./checkpoint.js";
import type { Part } from "./run.js";
import type { Conflict } from "./segment-builder.js";
import type { StoredPassage } from "../../types.js";

/** Passages in batches, in the order of the corpus. */
export type PassageBatches = AsyncIterable<readonly StoredPassage[]>;

/** Where passages come from: give one of the two. */
export interface SourceOptions {
  /** JSONL files (plain or .gz), read one after another as one corpus. */
  corpus?: readonly string[];
  /**
   * Passages from elsewhere, or a function that gives them from a number on: an interrupted build asks it for the rest only.
   * `contents` does for them what path, size and time of change do for files.
   */
  passages?: PassageBatches | ((from: number) => PassageBatches);
  /**
   * What makes the passages what they are, in any words: an interrupted build goes on when this is the same as it was. Without it, a build
   * from `passages` always begins anew.
   */
  contents?: string;
  /** Bytes of `corpus` read so far, and in all (compressed ones for .gz). */
  onProgress?: (doneBytes: number, totalBytes: number) => void;
}

/** A stretch of the source. */
export interface Stretch {
  parts: Part[];
  bytes: number;
  /** Where the next one begins. */
  next: SourcePlace;
}

export interface Source {
  /** What tells this source from another one; undefined: it cannot be told. */
  fingerprint: string | undefined;
  /** Stretches of about `bytes` bytes, empty ones left out. */
  stretches(bytes: number, from: SourcePlace, signal?: AbortSignal): AsyncGenerator<Stretch>;
  /** The error of an id that occurs twice in the source, or is in the index already. */
  conflict(out: string, conflict: Conflict): Promise<UserError>;
  /** The error of a source without any document. */
  empty(): UserError;
}

export const beginning: SourcePlace = { file: 0, byte: 0, line: 1 };

/** @throws UserError when files cannot be read, or none is named */
export async function sourceOf({ corpus, passages, contents, onProgress }: SourceOptions): Promise<Source> {
  if (corpus !== undefined && passages !== undefined)
    throw new UserError("Name corpus files or hand passages over, not both.");
  if (corpus !== undefined && corpus.length > 0) return filesSource(corpus, onProgress);
  if (passages === undefined) throw new UserError("No corpus file was given. Name at least one JSONL file.");
  return passagesSource(passages, contents);
}

/** Largest piece handed over at once. */
const blockBytes = 1 << 20;

async function filesSource(paths: readonly string[], onProgress: SourceOptions["onProgress"]): Promise<Source> {
  const totalBytes = await sizeOf(paths);
  return {
    fingerprint: await fingerprintOf(paths),
    async *stretches(bytes, from, signal) {
      let doneBytes = 0;
      const onBytes = (read: number): void => onProgress?.((doneBytes += read), totalBytes);
      for (const path of paths.slice(0, from.file)) onBytes((await stat(path)).size);
      const gatherer = new Gatherer(bytes);
      for (const [file, path] of paths.entries()) {
        if (file < from.file) continue;
        const options = {
          signal,
          onBytes,
          blockBytes: Math.min(blockBytes, bytes),
          ...(file === from.file && { from }),
        };
        for await (const block of readLineBlocks(path, options))
          yield* gatherer.push({ label: path, ...block }, { file, ...block.next });
      }
      yield* gatherer.end();
    },
    async conflict(out, { id, first, second }) {
      const place = await locateDocument(paths, second);
      const where = `${place.path}:${place.line}: field "id": "${short(id)}"`;
      if (first === undefined) return new UserError(`${where} is in the index ${out} already. ${replaceHint}`);
      const earlier = await locateDocument(paths, first);
      return new UserError(`${where} stands already in ${earlier.path}:${earlier.line}. Ids must be unique.`);
    },
    empty: () =>
      new UserError(
        `The corpus is empty: ${paths.join(", ")} ${paths.length > 1 ? "hold" : "holds"} no document. ${shape}`,
      ),
  };
}

function passagesSource(given: PassageBatches | ((from: number) => PassageBatches), contents?: string): Source {
  return {
    fingerprint: contents,
    async *stretches(bytes, { line }, signal) {
      const gatherer = new Gatherer(bytes);
      for await (const part of encoded(given, line, signal))
        yield* gatherer.push(part, { file: 0, byte: 0, line: part.firstLine + part.lines });
      yield* gatherer.end();
    },
    async conflict(out, { id, first }) {
      if (first === undefined)
        return new UserError(`The id "${short(id)}" is in the index ${out} already. ${replaceHint}`);
      return new UserError(`The id "${short(id)}" stands for two passages. Ids must be unique.`);
    },
    empty: () => new UserError("The corpus is empty: there is no passage to index."),
  };
}

const replaceHint = "Use --replace (`replace: true`) to put new passages in the place of old ones.";

/** Passages as lines of JSONL, from number `line` (counted from 1) on. */
async function* encoded(
  given: PassageBatches | ((from: number) => PassageBatches),
  line: number,
  signal?: AbortSignal,
): AsyncGenerator<Part & { lines: number }> {
  const batches = typeof given === "function" ? given(line - 1) : given;
  let skip = typeof given === "function" ? 0 : line - 1;
  let next = line;
  for await (const batch of batches) {
    signal?.throwIfAborted();
    const passages = batch.slice(Math.min(skip, batch.length));
    skip -= batch.length - passages.length;
    if (passages.length === 0) continue;
    const text = passages.map(({ id, title, text: body }) => JSON.stringify({ id, title, text: body }) + "\n").join("");
    const bytes = new Uint8Array(Buffer.byteLength(text));
    Buffer.from(bytes.buffer).write(text);
    yield { label: "passages", firstLine: next, bytes, lines: passages.length };
    next += passages.length;
  }
}

/** Joins parts to stretches. */
class Gatherer {
  readonly #limit: number;
  #parts: Part[] = [];
  #bytes = 0;
  #next = beginning;

  constructor(limit: number) {
    this.#limit = limit;
  }

  *push({ label, firstLine, bytes }: Part, next: SourcePlace): Generator<Stretch> {
    this.#parts.push({ label, firstLine, bytes });
    this.#bytes += bytes.length;
    this.#next = next;
    if (this.#bytes >= this.#limit) yield* this.end();
  }

  *end(): Generator<Stretch> {
    if (this.#parts.length === 0) return;
    yield { parts: this.#parts, bytes: this.#bytes, next: this.#next };
    this.#parts = [];
    this.#bytes = 0;
  }
}

async function fingerprintOf(paths: readonly string[]): Promise<string> {
  const hash = createHash("sha256");
  for (const path of paths) {
    const { size, mtimeMs } = await stat(path);
    hash.update(JSON.stringify([resolve(path), size, mtimeMs]));
  }
  return hash.digest("hex");
}

/** Ids may be long. */
function short(id: string): string {
  return id.length <= 200 ? id : `${id.slice(0, 200)}…`;
}
