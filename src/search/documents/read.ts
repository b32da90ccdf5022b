/** @file One file of any kind as passages. Takes as long as it takes: runs in a worker (`DocumentParser`). */
import { UserError } from "../../errors.js";
import type { StoredPassage } from "../../types.js";
import { decodeText } from "../text/charset.js";
import { cutText, type ChunkSettings } from "./chunk.js";
import type { Block } from "./html.js";

/** A document as its reader gives it. */
export interface ReadDocument {
  /** Empty where the document names none. */
  title: string;
  blocks: readonly Block[];
}

type TitledText = Pick<StoredPassage, "title" | "text">;

export type DocumentKind = "markdown" | "text" | "html" | "pdf";

const endings: Readonly<Record<DocumentKind, readonly string[]>> = {
  markdown: ["md", "markdown", "mdown", "mkd"],
  text: ["txt", "text", "rst", "org", "adoc", "asciidoc", "tex", "log"],
  html: ["html", "htm", "xhtml"],
  pdf: ["pdf"],
};

/** The kind that a file's ending says, or undefined. */
export function documentKind(path: string): DocumentKind | undefined {
  const ending = /\.([^./\\]+)$/.exec(path)?.[1].toLowerCase() ?? "";
  return (Object.keys(endings) as DocumentKind[]).find((kind) => endings[kind].includes(ending));
}

/** All endings, for help pages: ".md", … */
export const documentEndings: readonly string[] = Object.values(endings).flatMap((list) =>
  list.map((ending) => `.${ending}`),
);

/**
 * The passages of a document.
 * @param path relative to the corpus; its last part stands in for a title that is missing
 * @throws UserError saying what is wrong with the file, without its name
 */
export async function readDocument(
  bytes: Uint8Array,
  kind: DocumentKind,
  path: string,
  settings: ChunkSettings,
): Promise<TitledText[]> {
  if (bytes.length === 0) throw new UserError("it is empty");
  const passages = passagesOf(await readAs(bytes, kind), nameOf(path), settings);
  if (passages.length === 0)
    throw new UserError(kind === "pdf" ? "it holds no text (pages that are pictures have none)" : "it holds no text");
  return passages;
}

/** The readers' libraries are large: each is loaded with the first file of its kind, or here. */
export async function loadReader(kind: DocumentKind): Promise<void> {
  if (kind === "markdown") await import("./markdown.js");
  if (kind === "html") await import("./html.js");
  if (kind === "pdf") await import("./pdf.js");
}

async function readAs(bytes: Uint8Array, kind: DocumentKind): Promise<ReadDocument> {
  switch (kind) {
    case "markdown":
      return (await import("./markdown.js")).readMarkdown(textOf(bytes));
    case "text":
      return { title: "", blocks: [{ level: 0, text: textOf(bytes) }] };
    case "html": {
      const { htmlBlocks, longestHtml } = await import("./html.js");
      const html = textOf(bytes);
      if (html.length > longestHtml)
        throw new UserError(`its HTML is longer than ${longestHtml / 1e6} million characters`);
      return htmlBlocks(html);
    }
    case "pdf":
      return (await import("./pdf.js")).readPdf(bytes);
  }
}

/** "guides/first-steps.md" → "first-steps". */
function nameOf(path: string): string {
  const last = path.slice(path.lastIndexOf("/") + 1);
  return last.replace(/(.)\.[^.]+$/, "$1");
}

/**
 * A text file. Line breaks become "\n".
 * @throws UserError for what is no text
 */
function textOf(bytes: Uint8Array): string {
  const text = decodeText(bytes).replace(/\r\n?/g, "\n");
  // Characters that no text holds: the file is something else, whatever its ending.
  if (text.includes("\0")) throw new UserError("it is not a text file (it holds zero bytes)");
  return text;
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
function passagesOf(document: ReadDocument, name: string, settings: ChunkSettings): TitledText[] {
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
