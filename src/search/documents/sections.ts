/**
 * @file The passages of a document: its sections, small neighbours merged and long ones cut. A title is "document › heading › heading", as far as
 * it fits a share of a passage's room; the whole path of headings is the passage's `section`.
 */
import type { StoredPassage, Tokenizer } from "../../types.js";
import {
  charactersPerWord,
  countWords,
  cutPieces,
  type ChunkSettings,
  type Layout,
  type Piece,
  type Room,
} from "./chunk.js";
import type { Block } from "./block.js";
import type { ReadDocument } from "./read.js";
import { frameTokens, sampleLength, TokenEstimate } from "./token-estimate.js";

/** Between the parts of a title. */
const separator = " › ";

/** A heading longer than this is no heading: it would take the room of what stands below it. UTF-16 units. */
const longestHeading = 200;

/** A title takes at most this share of a passage's tokens, and the document's own at most that share of the title's. */
const titleShare = 0.25;
const documentShare = 0.6;

/** What is too long to belong to the code below it, in UTF-16 units. */
const longestIntroduction = 400;

interface Heading {
  text: string;
  anchor?: string;
}

interface Section {
  /** The headings above it, outermost first. */
  path: readonly Heading[];
  blocks: readonly Block[];
}

/** What measures and bounds the passages of one document. */
interface Bounds {
  settings: ChunkSettings;
  /** Tokens of a passage's title and text. */
  tokens: number;
  estimate: TokenEstimate;
  /** Counts exactly. */
  tokenizer?: Tokenizer;
}

/**
 * The passages of a document, without ids. A heading with nothing below it stands in a text, so that no word is lost.
 * @param name stands in for a title that is missing
 */
export function passagesOf(
  document: ReadDocument,
  name: string,
  settings: ChunkSettings,
  tokenizer?: Tokenizer,
): Omit<StoredPassage, "id">[] {
  const estimate = new TokenEstimate(sampleOf(document.blocks));
  const bounds = { settings, tokens: (settings.tokens ?? Infinity) - frameTokens, estimate, tokenizer };
  const named = document.title || onlyTopHeading(document.blocks) || name;
  return merged(sectionsOf(document.blocks), bounds).flatMap(({ path, blocks }) => {
    const title = titleOf(named, path, bounds);
    const section = path.map(({ text }) => text).join(separator);
    const { text, layout, anchors } = layoutOf(blocks);
    const own = path.findLast(({ anchor }) => anchor !== undefined)?.anchor;
    return cutSection(title, text, layout, bounds).map((piece) => {
      const anchor = anchors.findLast(({ place }) => place <= piece.start)?.anchor ?? own;
      const url = document.url === undefined ? undefined : withFragment(document.url, anchor);
      return { title, text: piece.text, ...(url && { url }), ...(section !== "" && section !== title && { section }) };
    });
  });
}

function withFragment(url: string, anchor: string | undefined): string {
  if (anchor === undefined) return url;
  return `${url.replace(/#.*$/s, "")}#${encodeURI(anchor).replaceAll("#", "%23")}`;
}

/** Enough of a document to tell its language by. */
function sampleOf(blocks: readonly Block[]): string {
  let sample = "";
  for (const { text, kind } of blocks) {
    if (sample.length > sampleLength) break;
    if (kind !== "code") sample += `${text.slice(0, sampleLength)}\n`;
  }
  return sample;
}

/** A document with one heading of the first level has it for a title. */
function onlyTopHeading(blocks: readonly Block[]): string | undefined {
  const top = blocks.filter(({ level }) => level === 1);
  return top.length === 1 ? top[0].text : undefined;
}

/** The document's title and the innermost headings that fit; outer ones go first. */
function titleOf(named: string, path: readonly Heading[], { tokens, estimate }: Bounds): string {
  const room = tokens * titleShare;
  const title = shortened(named, path.length === 0 ? room : room * documentShare, estimate);
  // A document's own first heading is its title in most cases: once is enough.
  const headings = path.map(({ text }) => text);
  if (headings.length > 0 && named.includes(headings[0])) headings.shift();
  const shown: string[] = [];
  let left = room - estimate.of(title);
  for (const heading of headings.reverse()) {
    const fitting = shown.length === 0 ? shortened(heading, left, estimate) : heading;
    left -= estimate.of(separator) + estimate.of(fitting);
    if (shown.length > 0 && left < 0) break;
    shown.unshift(fitting);
  }
  return [title, ...shown].join(separator);
}

/** The beginning of a title that fits, cut between words. */
function shortened(title: string, tokens: number, estimate: TokenEstimate): string {
  const whole = title.length > longestHeading ? title.slice(0, longestHeading) : title;
  if (whole === title && estimate.of(title) <= tokens) return title;
  const words = whole.split(/(?=\s)/);
  while (words.length > 1 && estimate.of(words.join("")) + 1 > tokens) words.pop();
  return `${words.join("").trimEnd()}…`;
}

const hasWord = /[\p{L}\p{N}]/u;

function sectionsOf(blocks: readonly Block[]): Section[] {
  const sections: Section[] = [];
  /** The headings that the next block stands below, outermost first. */
  let open: (Block & { isEmpty: boolean })[] = [];
  let below: Block[] = [];
  const flush = (): void => {
    if (below.some(({ text }) => hasWord.test(text))) sections.push({ path: [...open], blocks: below });
    below = [];
  };
  /** Headings below which nothing stood. */
  const close = (from: number): void => {
    for (const [place, { level, text, anchor, isEmpty }] of open.entries())
      if (level >= from && isEmpty)
        sections.push({ path: open.slice(0, place), blocks: [{ level: 0, text, anchor, kind: "term" }] });
    open = open.filter(({ level }) => level < from);
  };
  for (const block of blocks) {
    if (block.level === 0 || block.text.length > longestHeading) {
      below.push(block);
      if (hasWord.test(block.text)) for (const heading of open) heading.isEmpty = false;
      continue;
    }
    flush();
    close(block.level);
    // What stands below a heading may be another one: its words are in that one's titles.
    for (const heading of open) heading.isEmpty = false;
    open.push({ ...block, isEmpty: true });
  }
  flush();
  close(0);
  return sections;
}

/** The sections with small neighbours of one parent merged: a passage of a few words says little, and much of it is title. */
function merged(sections: readonly Section[], bounds: Bounds): Section[] {
  const { settings, tokens, estimate } = bounds;
  const { fewest = 0 } = settings;
  const found: Section[] = [];
  let last: (Section & { isSmall: boolean; end: readonly Heading[]; headings: readonly Heading[] }) | undefined;
  /** Headings that the passages before the last one stand below. */
  const shown = new Set<Heading>();
  for (const section of sections) {
    const isSmall = hasFewerWords(section.blocks, fewest);
    const path = last === undefined ? [] : commonPath(last.path, section.path);
    const deepest = Math.max(last?.path.length ?? 0, section.path.length);
    // A heading becomes a line of the text above all that stands below it, or none.
    const isFirst = last === undefined || !last.path.slice(path.length).some((heading) => shown.has(heading));
    if (last !== undefined && isFirst && path.length >= deepest - 1 && (last.isSmall || isSmall)) {
      const blocks = [
        ...(last.path.length > path.length ? headingsOf(last.path, path.length) : []),
        ...last.blocks,
        ...headingsOf(section.path, commonPath(last.end, section.path).length),
        ...section.blocks,
      ];
      const room = tokens - estimate.of(titleOf("", path, bounds)) - tokens * titleShare * documentShare;
      if (fitsIn(blocks, { words: settings.words, tokens: room }, estimate)) {
        const headings = [...last.headings, ...section.path];
        last = { path, blocks, isSmall: hasFewerWords(blocks, fewest), end: section.path, headings };
        found[found.length - 1] = last;
        continue;
      }
    }
    for (const heading of last?.headings ?? []) shown.add(heading);
    last = { ...section, isSmall, end: section.path, headings: section.path };
    found.push(last);
  }
  return found;
}

/** More characters are taken for so many words without counting. */
const usualWord = 12;

function hasFewerWords(blocks: readonly Block[], words: number): boolean {
  let left = words;
  let characters = words * usualWord;
  for (const { text } of blocks) {
    characters -= text.length;
    if (characters <= 0) return false;
    left -= countWords(text);
  }
  return left > 0;
}

function fitsIn(blocks: readonly Block[], room: Pick<Room, "words" | "tokens">, estimate: TokenEstimate): boolean {
  const characters = blocks.reduce((sum, { text }) => sum + text.length, 0);
  if (characters > room.words * charactersPerWord) return false;
  const whole = blocks.map(({ text }) => text).join("\n\n");
  return estimate.of(whole) <= room.tokens && countWords(whole) <= room.words;
}

/** Headings as lines of a text. */
function headingsOf(path: readonly Heading[], from: number): Block[] {
  return path.slice(from).map(({ text, anchor }) => ({ level: 0, text, anchor, kind: "term" }));
}

function commonPath(one: readonly Heading[], other: readonly Heading[]): readonly Heading[] {
  let length = 0;
  while (length < one.length && one[length] === other[length]) length++;
  return one.slice(0, length);
}

interface LaidOut {
  text: string;
  layout: Layout;
  /** Where places begin that an address can lead to, ascending. */
  anchors: { place: number; anchor: string }[];
}

/** Blocks as one text. Rows of a table are lines, a term is a line above what explains it; all else is apart by a blank line. */
function layoutOf(blocks: readonly Block[]): LaidOut {
  const pieces: string[] = [];
  let length = 0;
  const add = (piece: string): void => {
    pieces.push(piece);
    length += piece.length;
  };
  const kept: number[] = [];
  const lines: { start: number; end: number; headerEnd: number }[] = [];
  const anchors: LaidOut["anchors"] = [];
  let before: Block | undefined;
  for (const block of blocks) {
    const isRow = block.kind === "row" || (block.kind === "header" && before?.kind === "header");
    const isSameTable = isRow && (before?.kind === "row" || before?.kind === "header");
    if (before !== undefined) add(isSameTable || before.kind === "term" ? "\n" : "\n\n");
    const start = length;
    add(block.text);
    if (before !== undefined && belongTogether(before, block)) kept.push(start);
    if (block.anchor !== undefined) anchors.push({ place: start, anchor: block.anchor });
    if (block.kind === "row" || block.kind === "header" || block.kind === "code") {
      if (isSameTable) lines[lines.length - 1].end = length;
      else lines.push({ start, end: length, headerEnd: start });
      if (block.kind === "header") lines[lines.length - 1].headerEnd = length;
    }
    before = block;
  }
  return { text: pieces.join(""), layout: { kept, lines }, anchors };
}

/** Whether a block is best read with the one before it. */
function belongTogether(before: Block, block: Block): boolean {
  if (before.kind === "term" || before.kind === "header") return true;
  if (before.kind !== undefined || before.text.length > longestIntroduction) return false;
  return block.kind === "code" || /[:：]\s*$/.test(before.text);
}

/** Passages are cut anew while one is too long by the exact count: at most so often. */
const mostCuts = 6;

function cutSection(title: string, text: string, layout: Layout, bounds: Bounds): Piece[] {
  const { settings, estimate, tokenizer } = bounds;
  const { words, overlap, tokens: wanted } = settings;
  const cut = (tokens: number): Piece[] =>
    cutPieces(text, { words, overlap, tokens: Math.max(1, tokens), estimate }, layout);
  const room = bounds.tokens - estimate.of(title);
  if (tokenizer === undefined || wanted === undefined) return cut(room);
  const sample = text.slice(0, 20_000);
  let tokens = (room * estimate.of(sample)) / Math.max(1, tokenizer.encode(sample).length);
  for (let left = mostCuts; ; left--) {
    const pieces = cut(tokens);
    const longest = Math.max(0, ...pieces.map((piece) => tokenizer.encode(asShown(title, piece.text)).length));
    if (longest <= wanted || left === 1) return pieces;
    tokens *= (wanted / longest) * 0.97;
  }
}

/** A passage alone in an observation, as Search-R1's protocol shows it. */
export function asShown(title: string, text: string): string {
  return `\n\n<information>Doc 1(Title: ${title}) ${text}\n</information>\n\n`;
}
