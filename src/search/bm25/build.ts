/** @file `sleuth index`: a corpus becomes an index folder, in bounded memory, all or nothing. */
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "../../errors.js";
import { isRunning } from "../../is-running.js";
import { Analyzer } from "../analyzer.js";
import { readCorpus } from "../corpus.js";
import { diskFiles } from "./files.js";
import type { OutputFiles } from "./files.js";
import { formatName, formatVersion, generationPrefix, manifestName, sealManifest } from "./format.js";
import type { Manifest } from "./format.js";
import { checkRanking, defaultBm25 } from "./settings.js";
import type { Bm25Settings } from "./settings.js";
import { IndexWriter } from "./writer.js";
import type { WrittenIndex } from "./writer.js";

export interface BuildIndexOptions {
  /** JSONL files, read one after another as one corpus. */
  corpus: readonly string[];
  /** Folder of the index: new, empty, or an index that is replaced. */
  out: string;
  settings?: Partial<Bm25Settings>;
  /** Bytes of the corpus read so far, and in all. */
  onProgress?: (doneBytes: number, totalBytes: number) => void;
  /** Cancels; what was in `out` before stays. */
  signal?: AbortSignal;
  /** How the disk is changed; for tests. */
  files?: OutputFiles;
  /** Postings held in memory before they are spilled: 8 million take about 200 MB. */
  postingsPerRun?: number;
}

export interface IndexSummary {
  out: string;
  passages: number;
  terms: number;
  postings: number;
  /** Mean number of terms in a passage. */
  meanLength: number;
  /** Size of the index on disk. */
  bytes: number;
}

/**
 * Builds an index. An index that stood in `out` stays whole and usable until the new one replaces it in one step, and for
 * good when the build fails, is cancelled or is killed.
 * @throws UserError for a malformed corpus, a folder that is not an index, a full disk; the signal's reason when cancelled.
 */
export async function buildIndex(options: BuildIndexOptions): Promise<IndexSummary> {
  const { out, files = diskFiles, postingsPerRun = 8_000_000 } = options;
  const settings = { ...defaultBm25, ...options.settings };
  checkRanking(settings.k1, settings.b);
  const analyzer = new Analyzer(settings.analyzer);
  checkTarget(out);
  const generation = `${generationPrefix}${process.pid}-${randomBytes(4).toString("hex")}`;
  const folder = join(out, generation);
  try {
    files.makeFolder(folder);
    const written = await writeGeneration(new IndexWriter(folder, analyzer, files, postingsPerRun), options);
    const { k1, b } = settings;
    const previous = currentGeneration(out);
    commit(
      out,
      { format: formatName, version: formatVersion, generation, analyzer: analyzer.settings, k1, b, ...written },
      files,
    );
    removeOthers(out, generation, previous, files);
    return summaryOf(out, written);
  } catch (error) {
    removeQuietly(folder, files);
    throw writeError(out, error);
  }
}

async function writeGeneration(writer: IndexWriter, options: BuildIndexOptions): Promise<WrittenIndex> {
  try {
    const { signal, onProgress } = options;
    for await (const batch of readCorpus(options.corpus, { signal, onProgress })) {
      for (const passage of batch) writer.add(passage);
      signal?.throwIfAborted();
    }
    return await writer.finish();
  } catch (error) {
    writer.abandon();
    throw error;
  }
}

/** The one step that makes the new index the index. */
function commit(out: string, manifest: Manifest, files: OutputFiles): void {
  const path = join(out, manifestName);
  const unfinished = join(out, manifest.generation, manifestName);
  const file = files.create(unfinished);
  try {
    file.write(Buffer.from(sealManifest(manifest)));
  } catch (error) {
    file.abandon();
    throw error;
  }
  file.finish();
  files.syncFolder(out);
  files.rename(unfinished, path);
  try {
    files.syncFolder(out);
  } catch {
    // The rename has happened: the index is complete, and undoing it would leave none.
  }
}

/** @throws UserError unless `out` is free or an index of ours. */
function checkTarget(out: string): void {
  if (!existsSync(out)) return;
  if (!statSync(out).isDirectory())
    throw new UserError(`${out} is a file; an index is a folder. Choose another --out.`);
  const foreign = readdirSync(out).find((name) => name !== manifestName && !name.startsWith(generationPrefix));
  if (foreign !== undefined)
    throw new UserError(
      `${out} holds other files (${foreign}); an index needs a folder of its own. Choose another --out.`,
    );
}

/** Removes the generation that was replaced and what killed builds left; a build that still runs keeps its folder. */
function removeOthers(out: string, generation: string, previous: string | undefined, files: OutputFiles): void {
  for (const name of readdirSync(out)) {
    if (!name.startsWith(generationPrefix) || name === generation) continue;
    const owner = Number(name.slice(generationPrefix.length).split("-")[0]);
    if (name === previous || !isRunning(owner)) removeQuietly(join(out, name), files);
  }
}

/** The generation that the manifest in `out` names, however damaged the rest is. */
function currentGeneration(out: string): string | undefined {
  try {
    return (JSON.parse(readFileSync(join(out, manifestName), "utf8")) as Partial<Manifest>).generation;
  } catch {
    return undefined;
  }
}

function removeQuietly(path: string, files: OutputFiles): void {
  try {
    files.remove(path);
  } catch {
    // Left behind; the next build into this folder removes it.
  }
}

function summaryOf(out: string, written: WrittenIndex): IndexSummary {
  const { passages, terms, postings, totalLength, files } = written;
  const bytes = Object.values(files).reduce((sum, file) => sum + file.bytes, 0);
  return { out, passages, terms, postings, meanLength: totalLength / passages, bytes };
}

/** Errors of the disk, in words; everything else as it is. */
function writeError(out: string, error: unknown): unknown {
  const { code, message } = error as NodeJS.ErrnoException;
  const kept = "What was there before is unchanged.";
  if (code === "ENOSPC" || code === "EDQUOT")
    return new UserError(`The disk is full while writing the index ${out}. ${kept} Free some space and run again.`, {
      cause: error,
    });
  if (code === "EACCES" || code === "EPERM" || code === "EROFS" || code === "ENOTDIR")
    return new UserError(`The index ${out} cannot be written: ${message}. ${kept} Choose another --out.`, {
      cause: error,
    });
  if (code === "EIO")
    return new UserError(`The disk failed while writing the index ${out}: ${message}. ${kept}`, { cause: error });
  return error;
}
