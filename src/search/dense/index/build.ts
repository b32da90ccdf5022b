/** @file A corpus and an encoder, or vectors made elsewhere, become a dense index folder. Encoding takes hours: it can be stopped and goes on. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { mapAhead } from "../../../async.js";
import { UserError } from "../../../errors.js";
import { checkTarget, commitManifest, generationPrefix, newGeneration, withIndexLock } from "../../index-folder.js";
import { makeFolder, remove, removeQuietly } from "../../../files/disk.js";
import { writeError } from "../../../files/durable.js";
import { readCorpus } from "../../documents/corpus.js";
import type { FileChecksum } from "../../../files/checksummed-file.js";
import type { Encoder, EncoderSource } from "../encoder.js";
import { checkLeftOut, encodePassages, leftOutNotes, type LeftOut } from "../left-out.js";
import { placeVectors, type VectorSource } from "../vectors/open-vectors.js";
import { formatName, formatVersion, progressName } from "./format.js";
import type { DenseManifest, FileName } from "./format.js";
import { DenseWriter, findUnfinished, lineOf, type Line, type Progress } from "./writer.js";
import type { StoredPassage } from "../../../types.js";

export interface BuildDenseOptions {
  /** JSONL files, read one after another as one corpus; or `passages`. */
  corpus?: readonly string[];
  /** Passages in a fixed order, in batches. */
  passages?: AsyncIterable<readonly StoredPassage[]>;
  /** Folder of the index: new, empty, or an index that is replaced. */
  out: string;
  /** Makes the vectors, unless `vectors` are given; the caller closes it. */
  encoder?: Encoder;
  /** Vectors made elsewhere; the caller closes them. */
  vectors?: VectorSource;
  /** The encoder that made `vectors`: kept with the index, so that queries are encoded alike. */
  vectorsEncoder?: { name: string; source?: EncoderSource };
  /** How many passages there will be, where that is known: told on with the progress. */
  total?: number;
  /** Whether an unfinished build in `out` goes on (the default) or is thrown away. */
  resume?: boolean;
  onProgress?: (progress: DenseProgress) => void;
  /** Stops; what was committed stays for the next call. */
  signal?: AbortSignal;
  /** Passages that become durable together. */
  rowsPerCommit?: number;
}

interface DenseProgress {
  /** Passages that are encoded and written, those of an earlier call included. */
  passages: number;
  /** In all, where that is known. */
  total?: number;
  resumedFrom: number;
  /** Encoded by this call, per second. */
  perSecond: number;
  /** Bytes of the corpus files read, and in all; 0 for passages that come otherwise. */
  bytes: number;
  totalBytes: number;
}

export interface DenseSummary {
  out: string;
  passages: number;
  dimensions: number;
  encoder?: string;
  /** Passages that an earlier call had encoded. */
  resumedFrom: number;
  /** Vectors made elsewhere that were not of unit length, and are now. */
  normalised: number;
  /** Passages that the index lacks, since the encoder's endpoint refuses them; `notes` say so. */
  leftOut: LeftOut[];
  /** Size of the index on disk. */
  bytes: number;
  /** What the user should know: passages left out; that another kind of index would serve better. */
  notes: string[];
}

/** Above this many passages exact search is slower than an approximate index, with nothing gained that a user would notice. */
const exactLimit = 200_000;

/** Passages encoded by one call of the encoder; two such calls are under way at a time. */
const rowsPerCall = 256;

/** While one is written, the next is encoded. */
const callsAtOnce = 2;

interface Encoded {
  lines: Line[];
  /** [lines × dimensions] */
  vectors: Float32Array;
  leftOut: LeftOut[];
}

/** How much of the corpus has been read. */
interface ReadBytes {
  bytes: number;
  totalBytes: number;
}

/** Passages of one call of the encoder, and the place of the first among all. */
interface Call {
  passages: StoredPassage[];
  first: number;
}

/**
 * Builds an index. One that stood in `out` stays whole and usable until the new one replaces it in one step. With an encoder, what was
 * committed survives a stop, a crash and `kill -9`: the same call goes on behind it. A passage that the encoder's endpoint refuses is left out
 * and named; when it is more than a tenth of them, the build ends.
 * @throws UserError for a malformed or empty corpus, vectors that do not fit, a folder that is no dense index, an unfinished build of another
 *   corpus or encoder; SearchError when the encoder fails; the signal's reason
 */
export async function buildDenseIndex(options: BuildDenseOptions): Promise<DenseSummary> {
  const { out, encoder, vectors } = options;
  if ((encoder === undefined) === (vectors === undefined))
    throw new UserError("A dense index needs either an encoder or a file of vectors.");
  checkTarget(out, { engine: "bm25", file: "terms.utf8" });
  const build = (): Promise<DenseSummary> =>
    vectors === undefined ? encodeAll(options, encoder!) : takeAll(options, vectors);
  try {
    return await withIndexLock(out, build);
  } catch (error) {
    throw writeError(
      `the index ${out}`,
      error,
      "What was committed is kept. Make room and run the same command again.",
    );
  }
}

async function encodeAll(options: BuildDenseOptions, encoder: Encoder): Promise<DenseSummary> {
  const { out, rowsPerCommit = 2048, signal, total, onProgress = () => {}, resume = true } = options;
  const unfinished = findUnfinished(out);
  const earlier = resume ? unfinished : undefined;
  if (!resume && unfinished !== undefined) remove(join(out, unfinished.generation));
  if (earlier !== undefined && earlier.progress.encoder !== encoder.name)
    throw otherBuild(out, earlier.progress, encoder);
  const generation = earlier?.generation ?? newGeneration();
  const folder = join(out, generation);
  makeFolder(folder);
  const writer = new DenseWriter(folder, earlier?.progress);
  const resumedFrom = earlier?.progress.rows ?? 0;
  const leftOut = [...(earlier?.progress.leftOut ?? [])];
  const started = performance.now();
  const read = { bytes: 0, totalBytes: 0 };
  let committed = resumedFrom;

  const commit = (): void => {
    writer.commit(encoder.name, encoder.dimensions, leftOut);
    committed = writer.rows;
  };
  const write = ({ lines, vectors, leftOut: refused }: Encoded): void => {
    leftOut.push(...refused);
    checkLeftOut(leftOut, writer.rows + lines.length + leftOut.length);
    if (lines.length === 0) return;
    if (earlier !== undefined && encoder.dimensions !== earlier.progress.dimensions)
      throw otherBuild(out, earlier.progress, encoder);
    for (const line of lines) writer.add(line);
    writer.addVectors(vectors);
    if (writer.rows - committed >= rowsPerCommit) commit();
    const perSecond = ((writer.rows - resumedFrom) * 1000) / (performance.now() - started);
    onProgress({ passages: writer.rows, total, resumedFrom, perSecond, ...read });
  };

  const encode = async ({ passages, first }: Call, inner: AbortSignal): Promise<Encoded> => {
    const encoded = await encodePassages(encoder, passages, first, { signal: inner });
    return { lines: encoded.passages.map(lineOf), vectors: encoded.vectors, leftOut: encoded.leftOut };
  };

  try {
    for await (const encoded of mapAhead(
      unencoded(options, writer, { earlier: earlier?.progress, read }),
      callsAtOnce,
      encode,
      { signal },
    ))
      write(encoded);
    if (writer.rows === 0) throw new UserError("The corpus is empty: there is nothing to encode.");
    const dimensions = encoder.dimensions || earlier!.progress.dimensions;
    const facts = { encoder: encoder.name, encoderSource: encoder.source, passages: writer.rows, dimensions };
    const checksums = writer.finish();
    const built = commitIndex(out, generation, facts, checksums);
    return { ...built, resumedFrom, normalised: 0, leftOut, notes: [...leftOutNotes(leftOut), ...built.notes] };
  } catch (error) {
    // What was encoded before a failure is paid for: it is committed, where the disk allows.
    try {
      if (writer.rows > committed) commit();
    } catch {
      // The last commit counts.
    }
    writer.abandon();
    throw error;
  }
}

/**
 * The passages of the corpus that an earlier build has not encoded, in calls of the encoder; the writer skips those that it has.
 * @throws UserError where the earlier build was of another corpus
 */
async function* unencoded(
  options: BuildDenseOptions,
  writer: DenseWriter,
  { earlier, read }: { earlier: Progress | undefined; read: ReadBytes },
): AsyncGenerator<Call, void, undefined> {
  const { out, signal } = options;
  const { rows = 0, leftOut = [] } = earlier ?? {};
  const done = rows + leftOut.length;
  const wasLeftOut = new Map(leftOut.map(({ place, id }) => [place, id]));
  let place = 0;
  let call: Call = { passages: [], first: done };
  for await (const batch of batchesOf(options, read)) {
    for (const passage of batch) {
      if (place < done) {
        const id = wasLeftOut.get(place);
        if (id === undefined) writer.skip(lineOf(passage));
        if (id !== undefined && id !== passage.id) throw otherCorpus(out);
        if (++place === done && !writer.matches(earlier!)) throw otherCorpus(out);
        continue;
      }
      place++;
      call.passages.push(passage);
      if (call.passages.length < rowsPerCall) continue;
      yield call;
      call = { passages: [], first: place };
    }
    signal?.throwIfAborted();
  }
  if (place < done) throw otherCorpus(out);
  if (call.passages.length > 0) yield call;
}

async function takeAll(options: BuildDenseOptions, source: VectorSource): Promise<DenseSummary> {
  const { out, signal, vectorsEncoder } = options;
  const generation = newGeneration();
  const folder = join(out, generation);
  makeFolder(folder);
  const writer = new DenseWriter(folder);
  try {
    const ids: string[] = [];
    for await (const batch of batchesOf(options, { bytes: 0, totalBytes: 0 })) {
      for (const passage of batch) {
        writer.add(lineOf(passage));
        ids.push(passage.id);
      }
      signal?.throwIfAborted();
    }
    const { pieces, normalised } = await placeVectors(source, ids, signal);
    for (const piece of pieces) writer.addVectors(piece);
    const facts = {
      encoder: vectorsEncoder?.name,
      encoderSource: vectorsEncoder?.source,
      passages: ids.length,
      dimensions: source.dimensions,
    };
    const checksums = writer.finish();
    return { ...commitIndex(out, generation, facts, checksums), resumedFrom: 0, normalised, leftOut: [] };
  } catch (error) {
    writer.abandon();
    removeQuietly(folder);
    throw error;
  }
}

function batchesOf(
  { corpus, passages, signal }: BuildDenseOptions,
  read: ReadBytes,
): AsyncIterable<readonly StoredPassage[]> {
  if ((corpus === undefined) === (passages === undefined))
    throw new UserError("A dense index needs either corpus files or passages.");
  if (passages !== undefined) return passages;
  return readCorpus(corpus!, {
    signal,
    onProgress: (bytes, totalBytes) => Object.assign(read, { bytes, totalBytes }),
  });
}

/** The one step that makes the new index the index. */
function commitIndex(
  out: string,
  generation: string,
  facts: Pick<DenseManifest, "encoder" | "encoderSource" | "passages" | "dimensions">,
  files: Record<FileName, FileChecksum>,
): Omit<DenseSummary, "resumedFrom" | "normalised" | "leftOut"> {
  const manifest: DenseManifest = { format: formatName, version: formatVersion, generation, ...facts, files };
  commitManifest(out, manifest);
  removeQuietly(join(out, generation, progressName));
  for (const name of readdirSync(out))
    if (name.startsWith(generationPrefix) && name !== generation) removeQuietly(join(out, name));
  const { passages, dimensions, encoder } = facts;
  const notes =
    passages > exactLimit
      ? [
          `${passages} passages are many for exact search (about ${Math.round(passages / 20_000)} ms for a query on two cores). With \`--engine lancedb\` a query takes about 15 ms at a million passages.`,
        ]
      : [];
  const bytes = Object.values(files).reduce((sum, file) => sum + file.bytes, 0);
  return { out, passages, dimensions, encoder, bytes, notes };
}

function otherBuild(out: string, { encoder, rows, dimensions }: Progress, now: Encoder): UserError {
  return new UserError(
    `${out} holds an unfinished build of ${rows} passages by another encoder (${encoder}, ${dimensions} dimensions; now: ${now.name}). Build with that encoder, choose another --out, or throw it away with --no-resume.`,
  );
}

function otherCorpus(out: string): UserError {
  return new UserError(
    `${out} holds an unfinished build of another corpus: its first passages are not those of this one. Build with that corpus, choose another --out, or throw it away with --no-resume.`,
  );
}
