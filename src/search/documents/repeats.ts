/**
 * @file What stands in a corpus of documents more than once is left out: the same page in two formats, passages with the text of an earlier one, and lines that most
 * documents of a folder begin or end with. All of it is told only by many documents, so it is done when all are taken apart.
 */
import { createHash } from "node:crypto";
import { appendFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { TimeSlice } from "../../async.js";
import { readIntoSync } from "../../files/read-into.js";
import type { StoredPassage } from "../../types.js";
import { IdTable } from "../id-table.js";
import type { FoundDocument } from "./find.js";
import { EdgeLines } from "./edge-lines.js";
import { findTwins } from "./twins.js";

/** A document whose passages lie in the corpus file, between two places. */
export interface GatheredDocument {
  document: FoundDocument;
  startByte: number;
  endByte: number;
}

interface CompareOptions {
  signal?: AbortSignal;
  /** Documents that have been compared with all others, and all. */
  onCompared?: (done: number, total: number) => void;
}

/** What was left out. */
export interface Repeats {
  /** Documents that hold the text of another one in a lesser format: "page.rst" beside "page.html". */
  twins: { file: string; of: string }[];
  /** Passages whose text stands in an earlier one, by their document and the document of that one. */
  duplicates: { file: string; of: string; passages: number }[];
  /** Lines at the beginning or the end of most documents of a folder, with the number of these. */
  lines: { line: string; documents: number }[];
}

export const noRepeats: Repeats = { twins: [], duplicates: [], lines: [] };

/**
 * Copies a corpus without what repeats, in its order; ids stay as they are.
 * @param from the corpus file, whose passages belong to `documents` in their order
 * @returns what was left out, and the passages that were kept
 * @throws the signal's reason
 */
export async function leaveOutRepeats(
  from: string,
  to: string,
  documents: readonly GatheredDocument[],
  options: CompareOptions = {},
): Promise<{ repeats: Repeats; passages: number }> {
  const source = await open(from, "r");
  try {
    const target = await open(to, "w");
    try {
      return await copyDistinct(source.fd, target.fd, documents, options);
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
}

/** Files are read and written at once, in slices of time: waiting for a thread takes longer than most documents. */
async function copyDistinct(
  source: number,
  target: number,
  documents: readonly GatheredDocument[],
  { signal, onCompared }: CompareOptions,
): Promise<{ repeats: Repeats; passages: number }> {
  onCompared?.(0, documents.length);
  const slice = new TimeSlice();
  const pause = async (): Promise<void> => {
    if (slice.isOver) await slice.next();
    signal?.throwIfAborted();
  };
  const read = (place: number): StoredPassage[] => linesIn(bytesOf(source, documents[place])).map(asPassage);
  const twins = await findTwins(documents, read, pause);
  const edges = new EdgeLines();
  const seen = new SeenTexts();
  const places = [...documents.keys()].filter((place) => !twins.has(place));
  for (const place of places) {
    await pause();
    const bytes = bytesOf(source, documents[place]);
    if (bytes.length > 0)
      edges.count(documents[place].document, asPassage(firstLine(bytes)), asPassage(lastLine(bytes)));
  }
  let passages = 0;
  for (const place of places) {
    await pause();
    const bytes = bytesOf(source, documents[place]);
    const all = linesIn(bytes).map(asPassage);
    const kept = edges.without(documents[place].document, all).filter(({ text }) => seen.add(text, place));
    passages += kept.length;
    onCompared?.(place + 1, documents.length);
    const isWhole = kept.length === all.length && kept.every((passage, index) => passage === all[index]);
    appendFileSync(target, isWhole ? bytes : kept.map((passage) => JSON.stringify(passage) + "\n").join(""));
  }
  const fileAt = (place: number): string => documents[place].document.file;
  return {
    passages,
    repeats: {
      twins: [...twins].map(([place, of]) => ({ file: fileAt(place), of: fileAt(of) })),
      duplicates: seen.repeated.map(({ place, of, passages: many }) => ({
        ...{ file: fileAt(place), of: fileAt(of), passages: many },
      })),
      lines: edges.leftOut(),
    },
  };
}

/** The passages of a document as they stand in the corpus file: lines. */
function bytesOf(source: number, { startByte, endByte }: GatheredDocument): Buffer {
  const bytes = Buffer.allocUnsafe(endByte - startByte);
  readIntoSync(source, bytes, startByte, () => new Error("internal: the corpus is shorter than its journal says"));
  return bytes;
}

function linesIn(bytes: Buffer): string[] {
  return bytes.length === 0 ? [] : bytes.toString("utf8").trimEnd().split("\n");
}

const firstLine = (bytes: Buffer): string => bytes.toString("utf8", 0, bytes.indexOf("\n"));
/** Before it ends another line, or nothing. */
const lastLine = (bytes: Buffer): string => bytes.toString("utf8", bytes.lastIndexOf("\n", -2) + 1);

function asPassage(line: string): StoredPassage {
  return JSON.parse(line) as StoredPassage;
}

/** Texts of passages, known by 64 bits of SHA-256. */
class SeenTexts {
  readonly #documents = new IdTable();
  readonly #repeated = new Map<string, { place: number; of: number; passages: number }>();

  /** Whether a text is new. */
  add(text: string, place: number): boolean {
    const hash = createHash("sha256").update(text).digest();
    const of = this.#documents.addHash(hash.readUInt32LE(0), hash.readUInt32LE(4), place);
    if (of === undefined) return true;
    const key = `${place} ${of}`;
    const known = this.#repeated.get(key);
    if (known === undefined) this.#repeated.set(key, { place, of, passages: 1 });
    else known.passages++;
    return false;
  }

  get repeated(): { place: number; of: number; passages: number }[] {
    return [...this.#repeated.values()];
  }
}
