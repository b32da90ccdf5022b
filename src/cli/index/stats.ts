/** @file `sleuth index --stats`: what an index holds. */
import { loadTokenizer } from "../../engine/io/tokenizer.js";
import { UserError } from "../../errors.js";
import { mapInSlices } from "../../async.js";
import { printable } from "../../printable.js";
import { renderObservation } from "../../prompts/render.js";
import { searchR1 } from "../../prompts/protocol.js";
import { Random } from "../../random.js";
import { readIndex } from "../../search/bm25/open.js";
import { openDenseIndex } from "../../search/dense/index/open.js";
import { countWords } from "../../search/documents/chunk.js";
import { histogramOf, passageStats, quantileOf, type PassageStats } from "../../search/index-stats.js";
import { engineOf, enginesIn, locateIndex, type IndexedEngine } from "../../search/locate-index.js";
import type { PassageSource } from "../../search/passages.js";
import { documentOf } from "../../synthesis/questions/candidate.js";
import { count, percent, plural, sparkline } from "../terminal/format.js";
import { ProgressBar } from "../terminal/progress-bar.js";
import type { Terminal } from "../terminal/terminal.js";
import type { VerbAnswer } from "../verb.js";

interface StatsOptions {
  /** Folder of the index. */
  stats: string;
  /** Model whose tokenizer counts tokens; absent: they are not counted. */
  tokenizer?: string;
  /** Tokens that an observation with one passage should fit in. */
  within: number;
}

/** Passages whose tokens are counted. */
const mostTokenized = 2_000;
const pictureColumns = 40;

/**
 * Reads every passage of an index and tells what they are like.
 * @throws UserError for a folder without an index whose passages can be listed, and for a tokenizer that cannot be read
 */
export async function showStats(terminal: Terminal, options: StatsOptions, signal: AbortSignal): Promise<VerbAnswer> {
  const { stats: folder, tokenizer } = options;
  const engines = await enginesAt(folder);
  const { passages, close, settings } = await openPassages(folder, engines);
  try {
    const bar = new ProgressBar(terminal, { label: "Reading", total: passages.count, unit: "passage" });
    const stats = await passageStats(passages, {
      ...{ documentOf, signal },
      lengthOf: ({ text }) => countWords(text),
      onProgress: (done) => bar.update(done),
    });
    bar.stop();
    const tokens = tokenizer === undefined ? undefined : await tokensOf(passages, tokenizer, signal);
    show(terminal, { engines, settings, stats, tokens }, options);
    return answerOf(folder, { engines, settings, stats, tokens }, options);
  } finally {
    await close();
  }
}

async function enginesAt(folder: string): Promise<IndexedEngine[]> {
  const own = await engineOf(folder);
  const engines = own === undefined ? await enginesIn(folder) : [own];
  if (engines.length > 0) return engines;
  throw new UserError(`There is no index in ${folder}. Make one with \`sleuth index PATHS --out FOLDER\`.`);
}

interface OpenedPassages {
  passages: PassageSource;
  /** What decides how the index is searched. */
  settings: Record<string, unknown>;
  close(): Promise<void>;
}

/** Of the engines' indexes, which hold the same passages, the one that is opened fastest. */
async function openPassages(folder: string, engines: readonly IndexedEngine[]): Promise<OpenedPassages> {
  if (engines.includes("bm25")) {
    const { snapshot, passages } = await readIndex(await locateIndex(folder, "bm25"));
    const { k1, b, analyzer } = snapshot;
    return { passages, settings: { k1, b, ...analyzer }, close: () => passages.close() };
  }
  if (engines.includes("dense")) {
    const { nearest, passages } = await openDenseIndex(folder);
    return { passages, settings: { encoder: nearest.encoder }, close: () => nearest.close() };
  }
  throw new UserError(`${folder} holds an index for lancedb alone, whose passages are not listed. Index for bm25 too.`);
}

/** Tokens of an observation with nothing but the passage, of passages drawn by chance, ascending. */
async function tokensOf(passages: PassageSource, model: string, signal: AbortSignal): Promise<Uint32Array> {
  const tokenizer = await loadTokenizer(model);
  const numbers = Array.from({ length: passages.count }, (_, number) => number);
  const alive = numbers.filter((number) => !passages.isDeleted(number));
  const drawn = await passages.read(new Random(0, "index-stats").shuffle(alive).slice(0, mostTokenized));
  const counts = await mapInSlices(
    drawn,
    (passage) => tokenizer.encode(renderObservation(searchR1, [passage])).length,
    signal,
  );
  return Uint32Array.from(counts).sort();
}

interface Told {
  engines: readonly IndexedEngine[];
  settings: Record<string, unknown>;
  stats: PassageStats;
  tokens: Uint32Array | undefined;
}

function show(terminal: Terminal, told: Told, { stats: folder, within }: StatsOptions): void {
  const { bold, cyan, dim } = terminal.colors;
  const { passages, deleted, documents, repeated, lengths } = told.stats;
  terminal.print(`${bold(printable(folder))}  ${told.engines.join(", ")}`);
  terminal.print(dim(`${settingsInWords(told.settings)}`));
  const perDocument = documents === 0 ? "" : `, ${(passages / documents).toFixed(1)} passages each`;
  terminal.print(`passages   ${count(passages)}${deleted === 0 ? "" : `, ${count(deleted)} deleted besides`}`);
  terminal.print(`documents  ${count(documents)}${perDocument}`);
  terminal.print(`repeated   ${count(repeated)}, ${percent(passages === 0 ? 0 : repeated / passages)} of the passages`);
  terminal.print(`words      ${inWords(lengths)}`);
  const bars = histogramOf(lengths, pictureColumns);
  terminal.print(
    `           ${cyan(sparkline(bars, pictureColumns, Math.max(1, ...bars)))}  0 to ${lengths.at(-1) ?? 0}`,
  );
  const { tokens } = told;
  if (tokens === undefined) {
    terminal.print(dim("tokens     --tokenizer MODEL counts them"));
    return;
  }
  terminal.print(`tokens     ${inWords(tokens)}`);
  const fitting = percent(shareWithin(tokens, within));
  terminal.print(`           ${fitting} of ${plural(tokens.length, "observation")} within ${within} (--chunk-tokens)`);
}

function inWords(ascending: Uint32Array): string {
  return `half have at most ${quantileOf(ascending, 0.5)}, 90 % ${quantileOf(ascending, 0.9)}, 99 % ${quantileOf(ascending, 0.99)}, the longest ${ascending.at(-1) ?? 0}`;
}

function settingsInWords(settings: Record<string, unknown>): string {
  return Object.entries(settings)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key} ${Array.isArray(value) ? plural(value.length, "word") : printable(String(value))}`)
    .join(", ");
}

function shareWithin(ascending: Uint32Array, most: number): number {
  return ascending.length === 0 ? 0 : ascending.filter((value) => value <= most).length / ascending.length;
}

function answerOf(folder: string, { engines, settings, stats, tokens }: Told, { within }: StatsOptions): VerbAnswer {
  const distribution = (ascending: Uint32Array) => ({
    ...{ p50: quantileOf(ascending, 0.5), p90: quantileOf(ascending, 0.9), p99: quantileOf(ascending, 0.99) },
    max: ascending.at(-1) ?? 0,
  });
  const { lengths, ...counts } = stats;
  return {
    ...{ index: folder, engines, settings, ...counts, words: distribution(lengths) },
    ...(tokens && {
      tokens: { ...distribution(tokens), measured: tokens.length, within, shareWithin: shareWithin(tokens, within) },
    }),
  };
}
