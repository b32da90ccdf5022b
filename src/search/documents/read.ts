/** @file One file of any kind as passages. Takes as long as it takes: runs in a worker (`DocumentParser`). */
import { UserError } from "../../errors.js";
import type { StoredPassage, Tokenizer } from "../../types.js";
import { decodePage, decodeText } from "../text/charset.js";
import { normaliseText } from "../text/normalise.js";
import type { ChunkSettings } from "./chunk.js";
import type { Block } from "./block.js";
import { passagesOf } from "./sections.js";

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
    endings: ["txt", "text", "org", "tex", "log"],
    open: ofText(async () => (text) => ({ title: "", blocks: [{ level: 0, text }] })),
  },
  mdx: { endings: ["mdx"], open: ofText(async () => (await import("./mdx.js")).readMdx) },
  rst: {
    endings: ["rst"],
    open: ofText(async () => (await import("./restructured-text.js")).readRestructuredText),
  },
  asciidoc: {
    endings: ["adoc", "asciidoc"],
    open: ofText(async () => (await import("./asciidoc.js")).readAsciidoc),
  },
  notebook: { endings: ["ipynb"], open: ofText(async () => (await import("./notebook.js")).readNotebook) },
  csv: { endings: ["csv"], open: ofText(async () => (await import("./table-file.js")).readTable) },
  tsv: {
    endings: ["tsv"],
    open: ofText(async () => {
      const { readTable } = await import("./table-file.js");
      return (text) => readTable(text, "\t");
    }),
  },
  docx: { endings: ["docx"], open: async () => (await import("./docx.js")).readDocx },
  html: {
    endings: ["html", "htm", "xhtml"],
    open: ofText(async () => (await import("./html.js")).htmlBlocks, decodePage),
  },
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
 * @param more `url` of the document, where it is known, else the one that the document says it has; `onMissing` is told what a person would see
 *   in the document and the passages lack
 * @throws UserError saying what is wrong with the file, without its name
 */
export async function readDocument(
  bytes: Uint8Array,
  kind: DocumentKind,
  path: string,
  settings: ChunkSettings,
  { url, onMissing }: { url?: string; onMissing?: (what: string) => void } = {},
): Promise<Omit<StoredPassage, "id">[]> {
  if (bytes.length === 0) throw new UserError("it is empty");
  const document = normalised(await (await loadReader(kind))(bytes));
  const tokenizer = settings.tokenizer === undefined ? undefined : await tokenizerOf(settings.tokenizer);
  const passages = passagesOf(
    { ...document, url: url ?? document.url },
    normaliseText(nameOf(path)),
    settings,
    tokenizer,
  );
  if (passages.length === 0) throw new UserError("it holds no text");
  if (document.missing !== undefined) onMissing?.(document.missing);
  return passages;
}

let opened: { location: string; tokenizer: Tokenizer } | undefined;

/** The tokenizer of the documents before is open. @throws UserError where it cannot be read */
async function tokenizerOf(location: string): Promise<Tokenizer> {
  if (opened?.location !== location) {
    const { loadTokenizer } = await import("../../engine/io/tokenizer.js");
    opened = { location, tokenizer: await loadTokenizer(location) };
  }
  return opened.tokenizer;
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
