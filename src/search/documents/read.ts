/** @file One file of any kind as passages. Takes as long as it takes: runs in a worker (`DocumentParser`). */
import { UserError } from "../../errors.js";
import type { StoredPassage } from "../../types.js";
import { decodePage, decodeText } from "../text/charset.js";
import { normaliseText } from "../text/normalise.js";
import { cutText, type ChunkSettings } from "./chunk.js";
import type { Block } from "./html.js";

/** A document as its reader gives it. */
export interface ReadDocument {
  /** Empty where the document names none. */
  title: string;
  blocks: readonly Block[];
  /** What a person would see in it and the blocks lack. */
  missing?: string;
  /** The address that the document says it has. */
  url?: string;
}

type TitledText = Pick<StoredPassage, "title" | "text">;

type Reader = (bytes: Uint8Array) => ReadDocument | Promise<ReadDocument>;

interface Kind {
  /** Of file names, in lower case. */
  endings: readonly string[];
  /** Its library may be large: it is loaded with the first file of its kind. */
  open: () => Promise<Reader>;
}

/** Every kind of document; a new one is a file that gives blocks, and a row here. */
const kinds = {
  markdown: {
    endings: ["md", "markdown", "mdown", "mkd"],
    open: ofText(async () => (await import("./markdown.js")).readMarkdown),
  },
  text: {
    endings: ["txt", "text", "rst", "org", "adoc", "asciidoc", "tex", "log"],
    open: ofText(async () => (text) => ({ title: "", blocks: [{ level: 0, text }] })),
  },
  html: { endings: ["html", "htm", "xhtml"], open: ofText(htmlReader, decodePage) },
  pdf: { endings: ["pdf"], open: async () => (await import("./pdf.js")).readPdf },
} as const satisfies Readonly<Record<string, Kind>>;

export type DocumentKind = keyof typeof kinds;

function ofText(
  open: () => Promise<(text: string) => ReadDocument | Promise<ReadDocument>>,
  decode: (bytes: Uint8Array) => string = decodeText,
): Kind["open"] {
  return async () => {
    const read = await open();
    return (bytes) => read(textOf(decode(bytes)));
  };
}

async function htmlReader(): Promise<(html: string) => ReadDocument> {
  const { htmlBlocks, longestHtml } = await import("./html.js");
  return (html) => {
    if (html.length > longestHtml)
      throw new UserError(`its HTML is longer than ${longestHtml / 1e6} million characters`);
    return htmlBlocks(html);
  };
}

/** The kind that a file's ending says, or undefined. */
export function documentKind(path: string): DocumentKind | undefined {
  const ending = endingOf(path);
  return (Object.keys(kinds) as DocumentKind[]).find((kind) =>
    (kinds[kind].endings as readonly string[]).includes(ending),
  );
}

/** "a/b.MD" → "md"; empty where there is none. */
export function endingOf(path: string): string {
  return /\.([^./\\]+)$/.exec(path)?.[1].toLowerCase() ?? "";
}

/** All endings, for help pages: ".md", … */
export const documentEndings: readonly string[] = Object.values(kinds).flatMap(({ endings }) =>
  endings.map((ending) => `.${ending}`),
);

/**
 * The passages of a document.
 * @param path relative to the corpus; its last part stands in for a title that is missing
 * @param onMissing told what a person would see in the document and the passages lack
 * @throws UserError saying what is wrong with the file, without its name
 */
export async function readDocument(
  bytes: Uint8Array,
  kind: DocumentKind,
  path: string,
  settings: ChunkSettings,
  onMissing: (what: string) => void = () => undefined,
): Promise<TitledText[]> {
  if (bytes.length === 0) throw new UserError("it is empty");
  const document = normalised(await (await loadReader(kind))(bytes));
  const passages = passagesOf(document, normaliseText(nameOf(path)), settings);
  if (passages.length === 0) throw new UserError("it holds no text");
  if (document.missing !== undefined) onMissing(document.missing);
  return passages;
}

/** The reader of a kind, with its library. */
export async function loadReader(kind: DocumentKind): Promise<Reader> {
  return kinds[kind].open();
}

/** Entities are decoded by now: they may stand for marks and invisible characters. */
function normalised({ title, blocks, ...origin }: ReadDocument): ReadDocument {
  return {
    ...origin,
    title: normaliseText(title),
    blocks: blocks.map((block) => ({ ...block, text: normaliseText(block.text) })),
  };
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
function textOf(decoded: string): string {
  const text = decoded.replace(/\r\n?/g, "\n");
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
