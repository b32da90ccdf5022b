/** @file An index for each engine that was asked for, one after another, from the same corpus. */
import { existsSync, rmSync } from "node:fs";
import { stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { UserError } from "../../errors.js";
import { buildIndex } from "../../search/bm25/build.js";
import { defaultBm25 } from "../../search/bm25/settings.js";
import { readCorpus } from "../../search/documents/corpus.js";
import type { Encoder, EncoderSource } from "../../search/dense/encoder.js";
import { buildDenseIndex } from "../../search/dense/index/build.js";
import { buildLanceTable } from "../../search/dense/lancedb/build.js";
import type { LanceRows } from "../../search/dense/lancedb/build.js";
import { lanceRows } from "../../search/dense/lancedb/rows.js";
import { leftOutNotes } from "../../search/dense/left-out.js";
import { openEncoder } from "../../search/dense/open-encoder.js";
import { openVectors } from "../../search/dense/vectors/open-vectors.js";
import type { VectorSource } from "../../search/dense/vectors/open-vectors.js";
import { engineOf } from "../../search/locate-index.js";
import type { IndexedEngine } from "../../search/locate-index.js";
import type { IndexOptions } from "./corpus.js";
import { Bm25Progress, LanceProgressBar, rateOf } from "./progress.js";
import { plural } from "../terminal/format.js";
import { ProgressBar } from "../terminal/progress-bar.js";
import type { Terminal } from "../terminal/terminal.js";

/** What was built, for --json. */
interface BuiltIndex {
  passages: number;
  out: string;
  [more: string]: unknown;
}

interface Building {
  terminal: Terminal;
  options: IndexOptions;
  /** JSONL files. */
  corpus: readonly string[];
  out: string;
  signal: AbortSignal;
  encoder?: Encoder;
}

/** Where an engine's index goes: several have a folder each, and so has one whose folder is there already. */
function targetOf(out: string, engine: IndexedEngine, engines: readonly IndexedEngine[]): string {
  if (out.includes("://")) return out;
  const own = join(out, engine);
  return engines.length > 1 || existsSync(own) ? own : out;
}

/** @throws UserError where an index of another kind is in the place: the user did not ask to replace it */
export async function refuseOtherKinds({ engine: engines = ["bm25"], out }: IndexOptions): Promise<void> {
  if (out.includes("://")) return;
  for (const engine of engines) {
    const target = targetOf(out, engine, engines);
    const there = await engineOf(target);
    if (there !== undefined && there !== engine)
      throw new UserError(
        `${target} holds an index of another kind (${there}). Choose another --out, or remove the folder.`,
      );
  }
}

export async function buildIndexes(
  terminal: Terminal,
  options: IndexOptions,
  corpus: readonly string[],
  signal: AbortSignal,
): Promise<Partial<Record<IndexedEngine, BuiltIndex>> & Record<string, BuiltIndex>> {
  const { engine: engines = ["bm25"], out } = options;
  const needsEncoder = options.encoder !== undefined && engines.some((engine) => engine !== "bm25");
  const encoder = needsEncoder ? await openEncoder(encoderSource(options)) : undefined;
  const built: Record<string, BuiltIndex> = {};
  try {
    for (const engine of engines) {
      built[engine] = await builders[engine]({
        ...{ terminal, options, corpus, signal, encoder },
        out: targetOf(out, engine, engines),
      });
      const { resumedFrom } = built[engine];
      if (typeof resumedFrom === "number" && resumedFrom > 0)
        terminal.note(
          `Went on: ${plural(resumedFrom, "passage was", "passages were")} in the ${engine} index already.`,
        );
    }
    return built;
  } finally {
    await encoder?.close();
  }
}

export function encoderSource({ encoder = "", encoderModel }: IndexOptions): EncoderSource {
  return { location: encoder, ...(encoderModel === undefined ? {} : { model: encoderModel }) };
}

const builders: Readonly<Record<IndexedEngine, (building: Building) => Promise<BuiltIndex>>> = {
  async bm25({ terminal, options, corpus, out, signal }) {
    const { k1 = defaultBm25.k1, b = defaultBm25.b, stemmer, stopWords } = options;
    tellNoResume(terminal, options);
    const analyzer = { stemmer, ...(stopWords ? {} : { stopWords: [] }) };
    const progress = new Bm25Progress(terminal);
    const summary = await buildIndex({ corpus, out, settings: { k1, b, analyzer }, signal, ...progress.calls });
    progress.stop();
    return { ...summary };
  },

  async dense({ terminal, options, corpus, out, signal, encoder }) {
    let bar: ProgressBar | undefined;
    const vectors = await vectorsOf(options);
    try {
      const summary = await buildDenseIndex({
        ...{ corpus, out, signal, resume: options.resume },
        ...(vectors === undefined ? { encoder } : { vectors, vectorsEncoder: namedBy(encoder) }),
        onProgress: ({ passages, perSecond, bytes: done, totalBytes }) => {
          bar ??= new ProgressBar(terminal, { label: "Encoding", total: totalBytes, unit: "bytes", from: done });
          bar.update(done, rateOf(passages, perSecond));
        },
      });
      bar?.stop();
      for (const note of summary.notes) terminal.note(note);
      return { ...summary };
    } finally {
      await vectors?.close();
    }
  },

  async lancedb({ terminal, options, corpus, out, signal, encoder }) {
    // A build that is not to be continued: its table lies in a folder of its own.
    if (!options.resume && !out.includes("://"))
      rmSync(join(out, `${lanceTable}.lance`), { recursive: true, force: true });
    const vectors = await vectorsOf(options);
    const progress = new LanceProgressBar(terminal);
    try {
      const passages = readCorpus(corpus, { signal, onProgress: progress.read });
      const named = namedBy(encoder);
      const built = await buildLanceTable({
        ...{ address: out, table: lanceTable, signal, onProgress: progress.wrote },
        rows: vectors === undefined ? rowsOf(passages) : lanceRows(passages, vectors),
        source: await identityOf(corpus),
        ...(vectors === undefined ? { encoder } : { encoderName: named?.name, encoderSource: named?.source }),
      });
      progress.stop();
      for (const note of leftOutNotes(built.leftOut)) terminal.note(note);
      if (built.leftOutBefore > 0)
        terminal.note(
          `${plural(built.leftOutBefore, "passage was", "passages were")} left out before this build went on, since the encoder's endpoint refuses them.`,
        );
      return { out, ...built };
    } finally {
      await vectors?.close();
    }
  },
};

export const lanceTable = "passages";

async function* rowsOf(passages: AsyncIterable<LanceRows["passages"]>): AsyncGenerator<LanceRows> {
  for await (const batch of passages) yield { passages: batch };
}

function vectorsOf({ vectors, dimensions }: IndexOptions): Promise<VectorSource> | undefined {
  return vectors === undefined ? undefined : openVectors(vectors, { dimensions });
}

function namedBy(encoder: Encoder | undefined): { name: string; source?: EncoderSource } | undefined {
  return encoder === undefined ? undefined : { name: encoder.name, source: encoder.source };
}

/** The files by path, size and time of change. */
async function identityOf(corpus: readonly string[]): Promise<string> {
  const told = await Promise.all(
    corpus.map(async (path) => {
      const { size, mtimeMs } = await stat(path);
      return [resolve(path), size, Math.round(mtimeMs)];
    }),
  );
  return JSON.stringify(told);
}

/** `--no-resume` is accepted for bm25 as it was when interrupted builds were continued. */
export function tellNoResume(terminal: Terminal, { resume }: IndexOptions): void {
  if (!resume) terminal.note("bm25 needs no --no-resume any more: it always begins anew.");
}
