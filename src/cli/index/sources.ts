/** @file What `sleuth index` reads: JSONL files as they are, documents gathered into one more. */
import { createHash } from "node:crypto";
import { rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { UserError } from "../../errors.js";
import { loadTokenizer } from "../../engine/io/tokenizer.js";
import { defaultChunks, type ChunkSettings } from "../../search/documents/chunk.js";
import { findSources } from "../../search/documents/find.js";
import { checkGatheringFolder, gatherPassages, leftOutWithStrict } from "../../search/documents/gather.js";
import type { Gathered, GatherProgress } from "../../search/documents/gather.js";
import type { IndexOptions } from "./corpus.js";
import { skippedLines, tellLeftOut, tellRepeats } from "./left-out.js";
import { PassageRate } from "./progress.js";
import { plural } from "../terminal/format.js";
import { ProgressBar } from "../terminal/progress-bar.js";
import type { Terminal } from "../terminal/terminal.js";

interface Sources {
  /** JSONL files, that of the documents included. */
  corpus: string[];
  /** For --json; absent without documents. */
  gathered?: Pick<Gathered, "documents" | "skipped" | "partial" | "repeats"> & { otherFiles: Record<string, number> };
}

/**
 * Gathers the documents, then does `work`. What was gathered stays until the work is done, so that the same command need not do it again.
 * @throws UserError when nothing is there to be read; what `work` throws
 */
export async function withSources<T>(
  terminal: Terminal,
  options: IndexOptions,
  signal: AbortSignal,
  work: (sources: Sources) => Promise<T>,
): Promise<T> {
  const { include, exclude } = options;
  const found = await findSources(options.paths, { include, exclude, signal });
  const { corpora, documents, others } = found;
  if (options.strict === true && found.skipped.length > 0) throw leftOutWithStrict(found.skipped[0]);
  if (documents.length === 0) return work({ corpus: corpora });
  const folder = gatheringFolder(options.out);
  await checkGatheringFolder(folder);
  if (!options.resume) rmSync(folder, { recursive: true, force: true });
  const progress = progressOf(terminal);
  const chunks = await chunkSettings(options);
  const { baseUrl } = options;
  const gathered = await gatherPassages(documents, {
    folder,
    chunks,
    baseUrl,
    strict: options.strict,
    keepsRepeats: options.keepRepeats,
    signal,
    ...progress,
  });
  progress.stop();
  const { documents: read, partial, repeats } = gathered;
  const skipped = [...found.skipped, ...gathered.skipped];
  if (gathered.resumed > 0) terminal.note(`Went on: ${plural(gathered.resumed, "document")} had been read already.`);
  tellLeftOut(terminal, { skipped, partial, others, documents: read });
  tellRepeats(terminal, repeats);
  if (gathered.corpus === "" && corpora.length === 0) {
    rmSync(folder, { recursive: true, force: true });
    throw new UserError(`No document had any text to index (${skippedLines(skipped)[0]}).`);
  }
  const corpus = gathered.corpus === "" ? corpora : [...corpora, gathered.corpus];
  const otherFiles = Object.fromEntries(others);
  const result = await work({ corpus, gathered: { documents: read, skipped, partial, repeats, otherFiles } });
  rmSync(folder, { recursive: true, force: true });
  return result;
}

/** Bars for reading the documents and for comparing them. */
function progressOf(terminal: Terminal) {
  const rate = new PassageRate();
  let reading: ProgressBar | undefined;
  let comparing: ProgressBar | undefined;
  return {
    onProgress: ({ doneBytes, totalBytes, passages, documents: done }: GatherProgress): void => {
      reading ??= new ProgressBar(terminal, { label: "Reading", total: totalBytes, unit: "bytes", from: doneBytes });
      reading.update(doneBytes, `${plural(done, "document")}, ${rate.report(passages)}`);
    },
    onCompared: (done: number, total: number): void => {
      if (comparing === undefined) reading?.stop();
      comparing ??= new ProgressBar(terminal, { label: "Comparing", total, unit: "document" });
      comparing.update(done);
    },
    stop: (): void => (comparing ?? reading)?.stop(),
  };
}

/** How documents are cut. @throws UserError where the tokenizer cannot be read: no document could be cut with it */
export async function chunkSettings({
  chunk,
  overlap,
  chunkTokens,
  tokenizer,
}: Pick<IndexOptions, "chunk" | "overlap" | "chunkTokens" | "tokenizer">): Promise<ChunkSettings> {
  if (tokenizer !== undefined) await loadTokenizer(tokenizer);
  return {
    ...defaultChunks,
    words: chunk,
    overlap,
    tokens: chunkTokens,
    ...(tokenizer !== undefined && { tokenizer }),
  };
}

/** Beside the index, whose folder is its own; for an index in object storage, among this machine's temporary files. */
function gatheringFolder(out: string): string {
  if (!out.includes("://")) return `${out.replace(/[/\\]+$/, "")}.gathered`;
  return join(tmpdir(), `sleuth-gathered-${createHash("sha256").update(out).digest("hex").slice(0, 12)}`);
}
