/**
 * @file The passages of many documents, gathered in one corpus file. What is done is written down document by document, so that the same
 * call goes on where one that was stopped or killed left off: taking documents apart can take longer than indexing them.
 *
 * ```
 * folder/passages.jsonl   passages so far, as lines of a corpus
 * folder/distinct.jsonl   those without what repeats, once all documents are done
 * folder/journal.jsonl    the settings, then one line for each document done: size, time, and where its passages end
 * ```
 */
import { appendFileSync } from "node:fs";
import { mkdir, open, readFile, readdir, stat, utimes } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { mapAhead } from "../../async.js";
import { UserError } from "../../errors.js";
import { removeUnfinished, writeFileDurably } from "../../files/durable.js";
import { parseJsonLines, toJsonLines } from "../../files/lines.js";
import { isLockFile, withIndexLock } from "../index-folder.js";
import type { ChunkSettings } from "./chunk.js";
import { urlOf, type FoundDocument, type SkippedDocument } from "./find.js";
import type { PassageLines } from "./parse-worker.js";
import { DocumentParser } from "./parser.js";
import { leaveOutRepeats, noRepeats, type Repeats } from "./repeats.js";

export interface GatherProgress {
  /** Of the documents' files. */
  doneBytes: number;
  totalBytes: number;
  documents: number;
  passages: number;
}

export interface Gathered {
  /** The corpus file; empty where no document had any text. */
  corpus: string;
  /** That could be read. */
  documents: number;
  /** In the corpus file. */
  passages: number;
  /** What was left out of it because it stands there already. */
  repeats: Repeats;
  skipped: SkippedDocument[];
  /** Documents that were read, but not all that a person would see in them. */
  partial: SkippedDocument[];
  /** Documents that an earlier call had done. */
  resumed: number;
}

interface GatherOptions extends Reading {
  /** Made if need be; belongs to this call. */
  folder: string;
  /** A document that cannot be read ends the call. Default: it is left out and named. */
  strict?: boolean;
  /** What repeats stays. */
  keepsRepeats?: boolean;
  /** Takes the documents apart; stays open. Default: one of two processes (one for a handful), with 2 minutes for a document. */
  parser?: DocumentParser;
  signal?: AbortSignal;
  onProgress?: (progress: GatherProgress) => void;
  /** Documents looked through for what repeats, and all of them. */
  onCompared?: (done: number, total: number) => void;
}

/** What the passages depend on besides the documents: others are not those that an earlier call has made. */
interface Reading {
  chunks: ChunkSettings;
  /** Address of the folders: with it, each document has one. */
  baseUrl?: string;
}

/** A larger file is left out: its text would be held in memory several times. */
const largestDocument = 64 * 1024 * 1024;

/** @throws UserError for a document of so many bytes that it is not read */
function refuseTooLarge({ bytes }: FoundDocument): void {
  if (bytes > largestDocument)
    throw new UserError(
      `it is larger than ${largestDocument / 1024 / 1024} MB: split it, or write it as JSONL, which is read line by line`,
    );
}

const documentsAhead = 6;
const journalVersion = 2;

/** A document that is done: what it was, and where its passages end in the corpus file. */
interface Entry {
  path: string;
  bytes: number;
  modifiedMs: number;
  passages: number;
  endByte: number;
  /** Why it was left out. */
  skipped?: string;
  /** What a person would see in it and the passages lack. */
  missing?: string;
}

/**
 * Takes documents apart, in their order.
 * @throws UserError when another process gathers in the same folder, and with `strict` for a document that cannot be read; the signal's
 * reason
 */
export async function gatherPassages(documents: readonly FoundDocument[], options: GatherOptions): Promise<Gathered> {
  await mkdir(options.folder, { recursive: true });
  return withIndexLock(options.folder, async () => {
    await removeUnfinished(options.folder);
    const journal = await Journal.open(options.folder, { chunks: options.chunks, baseUrl: options.baseUrl }, documents);
    try {
      return await gather(documents, journal, options);
    } finally {
      await journal.close();
    }
  });
}

const ownNames = /^(passages\.jsonl|distinct\.jsonl|journal\.jsonl(\..*)?)$/;

/** @throws UserError unless the folder is missing, empty or was made by `gatherPassages`: it is cleared without asking */
export async function checkGatheringFolder(folder: string): Promise<void> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException): string[] => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  const isEmpty = async (name: string): Promise<boolean> => (await stat(join(folder, name))).size === 0;
  const hasJournal = names.includes(journalName) || !names.includes(corpusName) || (await isEmpty(corpusName));
  if (!hasJournal || !names.every((name) => ownNames.test(name) || isLockFile(name)))
    throw new UserError(
      `${folder} is where the passages of documents are gathered, but it holds something else. Move it away, or choose another --out.`,
    );
}

async function gather(
  documents: readonly FoundDocument[],
  journal: Journal,
  options: GatherOptions,
): Promise<Gathered> {
  const { chunks, baseUrl, strict = false, signal, onProgress } = options;
  const totalBytes = documents.reduce((sum, { bytes }) => sum + bytes, 0);
  const resumed = journal.entries.length;
  let doneBytes = journal.entries.reduce((sum, { bytes }) => sum + bytes, 0);
  const tell = (): void => {
    const { length } = journal.entries;
    onProgress?.({ doneBytes, totalBytes, documents: length, passages: journal.passages });
  };
  tell();
  const parser =
    options.parser ?? new DocumentParser({ workers: documents.length - resumed < 20 ? 1 : 2, timeoutMs: 120_000 });
  try {
    const takeApart = async (document: FoundDocument, inner: AbortSignal) => ({
      document,
      outcome: await readFound(document, parser, { chunks, baseUrl }, inner),
    });
    // So that the workers have something to do while one is written down.
    const taken = mapAhead(documents.slice(resumed), documentsAhead, takeApart, { signal });
    for await (const { document, outcome } of taken) {
      if (strict && outcome.skipped !== undefined)
        throw leftOutWithStrict({ file: document.file, why: outcome.skipped });
      journal.add(document, outcome);
      doneBytes += document.bytes;
      tell();
      // Documents read ahead are thrown away: a call that was stopped must end as stopped.
      signal?.throwIfAborted();
    }
  } finally {
    if (options.parser === undefined) await parser.close();
  }
  const those = (field: "skipped" | "missing"): { file: string; why: string }[] =>
    journal.entries.flatMap(({ [field]: why }, place) =>
      why === undefined ? [] : [{ file: documents[place].file, why }],
    );
  const skipped = those("skipped");
  const distinct = await distinctCorpus(documents, journal, options);
  return {
    ...distinct,
    corpus: distinct.passages === 0 ? "" : join(options.folder, distinct.corpus),
    documents: documents.length - skipped.length,
    skipped,
    partial: those("missing"),
    resumed,
  };
}

/** The corpus without what repeats. Made anew by each call, with the corpus's time of change: the builds of indexes tell by it whether vectors still fit. */
async function distinctCorpus(
  documents: readonly FoundDocument[],
  journal: Journal,
  { folder, keepsRepeats = false, signal, onCompared }: GatherOptions,
): Promise<Pick<Gathered, "corpus" | "passages" | "repeats">> {
  if (keepsRepeats) return { corpus: corpusName, passages: journal.passages, repeats: noRepeats };
  const [from, to] = [corpusName, distinctName].map((name) => join(folder, name));
  const places = journal.entries.map(({ endByte }, place) => ({
    document: documents[place],
    startByte: place === 0 ? 0 : journal.entries[place - 1].endByte,
    endByte,
  }));
  const { passages, repeats } = await leaveOutRepeats(from, to, places, { signal, onCompared });
  const { atime, mtime } = await stat(from);
  await utimes(to, atime, mtime);
  return { corpus: distinctName, passages, repeats };
}

/** What is said of a document that may not be left out. */
export function leftOutWithStrict({ file, why }: SkippedDocument): UserError {
  return new UserError(`${file}: ${why}. Without --strict it would be left out.`);
}

interface Outcome {
  lines?: PassageLines;
  /** Why the document has none. */
  skipped?: string;
}

/** What becomes of one document. @throws the signal's reason alone */
export async function readFound(
  document: FoundDocument,
  parser: DocumentParser,
  { chunks, baseUrl }: Reading,
  signal: AbortSignal,
): Promise<Outcome> {
  const { file, path, kind } = document;
  try {
    refuseTooLarge(document);
    return { lines: await parser.passages({ file, kind, path, url: urlOf(document, baseUrl) }, chunks, { signal }) };
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof UserError) return { skipped: error.message };
    const { code, message } = error as NodeJS.ErrnoException;
    return { skipped: `${code === undefined ? "taking it apart failed" : "it cannot be read"} (${message})` };
  }
}

const corpusName = "passages.jsonl";
const distinctName = "distinct.jsonl";
const journalName = "journal.jsonl";

/** What is done so far, on disk. */
class Journal {
  readonly entries: Entry[];
  passages: number;
  readonly #corpus: FileHandle;
  readonly #journal: FileHandle;

  private constructor(entries: Entry[], corpus: FileHandle, journal: FileHandle) {
    this.entries = entries;
    this.passages = entries.reduce((sum, { passages }) => sum + passages, 0);
    this.#corpus = corpus;
    this.#journal = journal;
  }

  /** Keeps what is still true: the documents at the beginning that are as they were, taken apart with the same settings. */
  static async open(folder: string, reading: Reading, documents: readonly FoundDocument[]): Promise<Journal> {
    const corpus = await open(join(folder, corpusName), "a+");
    try {
      const { size } = await corpus.stat();
      const path = join(folder, journalName);
      const entries = await readJournal(path, reading);
      const changed = entries.findIndex((entry, place) => entry.endByte > size || !isSame(entry, documents[place]));
      const valid = changed < 0 ? entries : entries.slice(0, changed);
      const end = valid.at(-1)?.endByte ?? 0;
      // Not when it is as long as it should be: an index build that was stopped tells the corpus by its time of change.
      if (size !== end) await corpus.truncate(end);
      await writeFileDurably(path, toJsonLines([headOf(reading), ...valid]));
      return new Journal(valid, corpus, await open(path, "a"));
    } catch (error) {
      await corpus.close();
      throw error;
    }
  }

  /** At once: a write that waits for its thread takes longer than most documents. */
  add({ path, bytes, modifiedMs }: FoundDocument, { lines, skipped }: Outcome): void {
    const begin = this.entries.at(-1)?.endByte ?? 0;
    if (lines !== undefined) appendFileSync(this.#corpus.fd, lines.bytes);
    const { passages, bytes: written, missing } = lines ?? { passages: 0, bytes: [] };
    const entry: Entry = { path, bytes, modifiedMs, passages, endByte: begin + written.length, skipped, missing };
    // After the passages: an entry without them would lose them.
    appendFileSync(this.#journal.fd, toJsonLines([entry]));
    this.entries.push(entry);
    this.passages += entry.passages;
  }

  async close(): Promise<void> {
    await this.#corpus.close();
    await this.#journal.close();
  }
}

function headOf(reading: Reading): object {
  return { version: journalVersion, ...reading };
}

/** The entries that a journal holds; none where it is missing, cut off at its head, or of other settings. */
async function readJournal(path: string, reading: Reading): Promise<Entry[]> {
  const text = await readFile(path, "utf8").catch(() => "");
  const all = parseJsonLines(text);
  // A line that is no JSON is the last one of a journal whose writer was killed.
  const torn = all.indexOf(undefined);
  const [head, ...entries] = torn < 0 ? all : all.slice(0, torn);
  return JSON.stringify(head) === JSON.stringify(headOf(reading)) ? (entries as Entry[]) : [];
}

function isSame(entry: Entry, document: FoundDocument | undefined): boolean {
  return entry.path === document?.path && entry.bytes === document.bytes && entry.modifiedMs === document.modifiedMs;
}
