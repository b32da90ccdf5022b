/** @file From blocks with headings to passages: sections by heading, each whole where it fits, its headings as the title. */
import { cutText } from "./chunk.js";
import type { ChunkSettings } from "./chunk.js";
import type { Block } from "./html.js";

/** A document as its reader gives it. */
export interface ReadDocument {
  /** Empty where the document names none. */
  title: string;
  blocks: readonly Block[];
}

export interface TitledText {
  title: string;
  text: string;
}

/** Between the parts of a title. */
const titleSeparator = " › ";

/** A heading longer than this is no heading: it would take the room of what stands below it. UTF-16 units. */
const longestHeading = 200;

interface Section {
  /** The headings above it, outermost first. */
  path: readonly string[];
  text: string;
}

/**
 * The passages of a document. Titles are "document › heading › heading"; a heading with nothing below it is a passage of its own, so that
 * no word is lost.
 * @param name stands in for a title that is missing
 */
export function passagesOf(document: ReadDocument, name: string, settings: ChunkSettings): TitledText[] {
  const sections = sectionsOf(document.blocks);
  const named = document.title || onlyTopHeading(document.blocks) || name;
  const title = named.length > longestHeading ? `${named.slice(0, longestHeading)}…` : named;
  return sections.flatMap(({ path, text }) => {
    // A document's own first heading is its title in most cases: once is enough.
    const headings = path[0] === title ? path.slice(1) : path;
    return cutText(text, settings).map((piece) => ({ title: [title, ...headings].join(titleSeparator), text: piece }));
  });
}

/** A document with one heading of the first level has it for a title. */
function onlyTopHeading(blocks: readonly Block[]): string | undefined {
  const top = blocks.filter(({ level }) => level === 1);
  return top.length === 1 ? top[0].text : undefined;
}

function sectionsOf(blocks: readonly Block[]): Section[] {
  const sections: Section[] = [];
  /** The headings that the next block stands below, outermost first. */
  let open: { level: number; text: string; isEmpty: boolean }[] = [];
  let pieces: string[] = [];
  const flush = (): void => {
    if (pieces.length > 0) sections.push({ path: open.map(({ text }) => text), text: pieces.join("\n\n") });
    pieces = [];
  };
  /** Headings below which nothing stood. */
  const close = (from: number): void => {
    for (const heading of open.filter(({ level }) => level >= from)) {
      if (!heading.isEmpty) continue;
      const place = open.indexOf(heading);
      sections.push({ path: open.slice(0, place).map(({ text }) => text), text: heading.text });
    }
    open = open.filter(({ level }) => level < from);
  };
  for (const { level, text } of blocks) {
    if (level === 0 || text.length > longestHeading) {
      pieces.push(text);
      if (/[\p{L}\p{N}]/u.test(text)) for (const heading of open) heading.isEmpty = false;
      continue;
    }
    flush();
    close(level);
    // What stands below a heading may be another one: its words are in that one's titles.
    for (const heading of open) heading.isEmpty = false;
    open.push({ level, text, isEmpty: true });
  }
  flush();
  close(0);
  return sections;
}
