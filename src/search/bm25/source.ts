/** @file What is indexed: JSONL files, or passages that a program hands over; cut into stretches that one worker inverts at a time. */
import { UserError } from "../../errors.js";
import { readLineBlocks } from "../../files/lines.js";
import type { StoredPassage } from "../../types.js";
import { locateDocument, shape, sizeOf } from "../documents/corpus.js";
import { passageLine } from "../passages.js";
import type { Part } from "./run.js";
import type { Conflict } from "./segment-writer.js";

/** Where passages come from: give one of the two. */
export interface SourceOptions {
  /** JSONL files (plain or .gz), read one after another as one corpus. */
  corpus?: readonly string[];
  /** Passages from elsewhere, in batches, in the order of the corpus. */
  passages?: AsyncIterable<readonly StoredPassage[]>;
  /** Bytes of `corpus` read so far, and in all (compressed ones for .gz). */
  onProgress?: (doneBytes: number, totalBytes: number) => void;
}

export interface Source {
  /** Stretches of about `bytes` bytes, each some parts; none is empty. */
  stretches(bytes: number, signal?: AbortSignal): AsyncGenerator<Part[]>;
  /** The error of an id that occurs twice in the source, or is in the index already. */
  conflict(out: string, conflict: Conflict): Promise<UserError>;
  /** The error of a source without any document. */
  empty(): UserError;
}

/** @throws UserError when files cannot be read, or none is named */
export async function sourceOf({ corpus, passages, onProgress }: SourceOptions): Promise<Source> {
  if (corpus !== undefined && passages !== undefined)
    throw new UserError("Name corpus files or hand passages over, not both.");
  if (corpus !== undefined && corpus.length > 0) return filesSource(corpus, onProgress);
  if (passages === undefined) throw new UserError("No corpus file was given. Name at least one JSONL file.");
  return passagesSource(passages);
}

/** Largest piece handed over at once. */
const blockBytes = 1 << 20;

async function filesSource(paths: readonly string[], onProgress: SourceOptions["onProgress"]): Promise<Source> {
  const totalBytes = await sizeOf(paths);
  return {
    async *stretches(bytes, signal) {
      let doneBytes = 0;
      const onBytes = (read: number): void => onProgress?.((doneBytes += read), totalBytes);
      yield* joined(blocksOf(paths, { signal, onBytes, blockBytes: Math.min(blockBytes, bytes) }), bytes);
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

function passagesSource(passages: AsyncIterable<readonly StoredPassage[]>): Source {
  return {
    stretches: (bytes, signal) => joined(encoded(passages, signal), bytes),
    async conflict(out, { id, first }) {
      if (first === undefined)
        return new UserError(`The id "${short(id)}" is in the index ${out} already. ${replaceHint}`);
      return new UserError(`The id "${short(id)}" stands for two passages. Ids must be unique.`);
    },
    empty: () => new UserError("The corpus is empty: there is no passage to index."),
  };
}

const replaceHint = "Use --replace (`replace: true`) to put new passages in the place of old ones.";

async function* blocksOf(
  paths: readonly string[],
  options: Parameters<typeof readLineBlocks>[1],
): AsyncGenerator<Part> {
  for (const path of paths)
    for await (const { bytes, firstLine } of readLineBlocks(path, options)) yield { label: path, firstLine, bytes };
}

/** Passages as lines of JSONL. */
async function* encoded(batches: AsyncIterable<readonly StoredPassage[]>, signal?: AbortSignal): AsyncGenerator<Part> {
  let firstLine = 1;
  for await (const batch of batches) {
    signal?.throwIfAborted();
    if (batch.length === 0) continue;
    const lines = batch.map(passageLine).join("");
    const bytes = new Uint8Array(Buffer.byteLength(lines));
    Buffer.from(bytes.buffer).write(lines);
    yield { label: "passages", firstLine, bytes };
    firstLine += batch.length;
  }
}

/** Joins parts to stretches. */
async function* joined(parts: AsyncIterable<Part>, bytes: number): AsyncGenerator<Part[]> {
  let waiting: Part[] = [];
  let waitingBytes = 0;
  for await (const part of parts) {
    waiting.push(part);
    waitingBytes += part.bytes.length;
    if (waitingBytes < bytes) continue;
    yield waiting;
    waiting = [];
    waitingBytes = 0;
  }
  if (waiting.length > 0) yield waiting;
}

/** Ids may be long. */
function short(id: string): string {
  return id.length <= 200 ? id : `${id.slice(0, 200)}…`;
}
