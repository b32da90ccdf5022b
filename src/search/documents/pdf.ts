/** @file The text of a PDF, page by page. Pages that are pictures have none: nothing here recognises letters. */
import { getDocumentProxy, getMeta } from "unpdf";
import { UserError } from "../../errors.js";
import type { Block } from "./html.js";
import type { ReadDocument } from "./read.js";

/**
 * A PDF as pages, each below a heading "page N".
 * @throws UserError for a file that is encrypted, broken or no PDF
 */
export async function readPdf(bytes: Uint8Array): Promise<ReadDocument> {
  const document = await open(bytes);
  try {
    const blocks: Block[] = [];
    for (let number = 1; number <= document.numPages; number++) {
      const page = await document.getPage(number);
      const { items } = await page.getTextContent();
      const text = textOf(items as readonly TextItem[]);
      if (text !== "") blocks.push({ level: 2, text: `page ${number}` }, { level: 0, text });
      page.cleanup();
    }
    const { info } = await getMeta(document).catch(() => ({ info: {} }));
    const title = (info as { Title?: unknown }).Title;
    return { title: typeof title === "string" ? title.trim() : "", blocks };
  } catch (error) {
    throw problem(error);
  } finally {
    await document.destroy();
  }
}

type PdfDocument = Awaited<ReturnType<typeof getDocumentProxy>>;

async function open(bytes: Uint8Array): Promise<PdfDocument> {
  try {
    // Fonts are not drawn, and no code of the file is evaluated. Its warnings are about drawing.
    return await getDocumentProxy(bytes, { isEvalSupported: false, verbosity: 0 });
  } catch (error) {
    throw problem(error);
  }
}

function problem(error: unknown): UserError {
  const { name, message } = error as Error;
  const why =
    name === "PasswordException" ? "it is encrypted and needs a password" : `it cannot be read as a PDF (${message})`;
  return new UserError(why, { cause: error });
}

/** A stretch of text of one font on one line; `str` is missing for marks of structure. */
interface TextItem {
  str?: string;
  hasEOL?: boolean;
}

/** Lines of a page as paragraphs cannot be told from its layout alone: line breaks become spaces, and words cut at them are joined. */
function textOf(items: readonly TextItem[]): string {
  const text = items.map(({ str = "", hasEOL }) => (hasEOL ? `${str}\n` : str)).join("");
  return text
    .replace(/(\p{Ll})-\n(\p{Ll})/gu, "$1$2")
    .replace(/[^\S\n]+/g, " ")
    .replace(/ ?\n ?/g, "\n")
    .trim();
}
