/** @file One file of any kind as passages. Takes as long as it takes: runs in a worker (`DocumentParser`). */
import { isUtf8 } from "node:buffer";
import { UserError } from "../../errors.js";
import type { ChunkSettings } from "./chunk.js";
import { passagesOf } from "./sections.js";
import type { ReadDocument, TitledText } from "./sections.js";

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
      return (await import("./markdown.js")).readMarkdown(decodeText(bytes));
    case "text":
      return { title: "", blocks: [{ level: 0, text: decodeText(bytes) }] };
    case "html": {
      const { htmlBlocks, longestHtml } = await import("./html.js");
      const html = decodeText(bytes);
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
 * Bytes of a text file as text: UTF-8, UTF-16 by its mark, else Windows-1252 (which Latin-1 is a part of). Line breaks become "\n".
 * @throws UserError for what is no text
 */
function decodeText(bytes: Uint8Array): string {
  const text = decode(bytes).replace(/\r\n?/g, "\n");
  // Characters that no text holds: the file is something else, whatever its ending.
  if (text.includes("\0")) throw new UserError("it is not a text file (it holds zero bytes)");
  return text;
}

function decode(bytes: Uint8Array): string {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return new TextDecoder("utf-16le").decode(bytes);
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return new TextDecoder("utf-16be").decode(bytes);
  if (isUtf8(bytes)) return new TextDecoder("utf-8").decode(bytes);
  return new TextDecoder("windows-1252").decode(bytes);
}
