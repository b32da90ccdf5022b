/** @file The text of a PDF, page by page. Pages that are pictures have none: nothing here recognises letters. */
import { readFile } from "node:fs/promises";
import { getDocumentProxy, getMeta, getResolvedPDFJS } from "unpdf";
import { UserError } from "../../errors.js";
import { joinCutWords } from "./hyphens.js";
import type { Block } from "./block.js";
import { linesOf, withoutRunningLines, type PageLines, type TextItem } from "./pdf-lines.js";
import type { ReadDocument } from "./read.js";

/**
 * A PDF as pages, each below a heading "page N", with what its form fields hold and the notes written on it. Running headers, page numbers and
 * dot leaders are left out, and words cut at line ends are joined.
 * @throws UserError for a file that is encrypted, broken or no PDF, and one without text, saying why it has none
 */
export async function readPdf(bytes: Uint8Array): Promise<ReadDocument> {
  const document = await open(bytes);
  try {
    const pages: (PageLines & { notes: string[] })[] = [];
    for (let number = 1; number <= document.numPages; number++) {
      const page = await document.getPage(number);
      const { items } = await page.getTextContent();
      const notes = notesOf((await page.getAnnotations()) as readonly Annotation[]);
      pages.push({ ...linesOf(items as readonly TextItem[], page.rotate), notes });
      page.cleanup();
    }
    const bodies = withoutRunningLines(pages.map(({ lines }) => lines)).map((lines) =>
      lines.map(({ text }) => text).join("\n"),
    );
    const texts = joinCutWords(bodies).map((body, place) => [body, ...pages[place].notes].join("\n").trim());
    const blocks = texts.flatMap((text, place): Block[] =>
      text === ""
        ? []
        : [
            { level: 2, text: `page ${place + 1}` },
            { level: 0, text },
          ],
    );
    if (blocks.length === 0) throw new UserError(await whyNoText(document, pages));
    const { info } = await getMeta(document).catch(() => ({ info: {} }));
    const title = (info as { Title?: unknown }).Title;
    return { title: typeof title === "string" ? title.trim() : "", blocks, missing: missingFrom(pages, texts) };
  } catch (error) {
    throw error instanceof UserError ? error : problem(error);
  } finally {
    await document.destroy();
  }
}

type PdfDocument = Awaited<ReturnType<typeof getDocumentProxy>>;

async function open(bytes: Uint8Array): Promise<PdfDocument> {
  try {
    // Fonts are not drawn, and no code of the file is evaluated. Its warnings are about drawing.
    return await getDocumentProxy(bytes, { isEvalSupported: false, verbosity: 0, CMapReaderFactory: CMaps });
  } catch (error) {
    throw problem(error);
  }
}

/** Tables from the codes in fonts of Chinese, Japanese and Korean to characters; a PDF names the one that it uses. */
class CMaps {
  static readonly #folder = new URL("../../../cmaps/", import.meta.url);

  async fetch({ name }: { name: string }): Promise<{ cMapData: Uint8Array; isCompressed: boolean }> {
    if (!/^[\w-]+$/.test(name)) throw new Error(`no CMap is called ${name}`);
    return { cMapData: new Uint8Array(await readFile(new URL(`${name}.bcmap`, CMaps.#folder))), isCompressed: true };
  }
}

function problem(error: unknown): UserError {
  const { name, message } = error as Error;
  const why =
    name === "PasswordException" ? "it is encrypted and needs a password" : `it cannot be read as a PDF (${message})`;
  return new UserError(why, { cause: error });
}

/** What stands on a page without being part of it: of these, fields of forms and notes in a box are read. */
interface Annotation {
  subtype: string;
  annotationFlags?: number;
  textContent?: readonly string[];
  fieldType?: string;
  fieldName?: string;
  /** What a person is shown as the field's name. */
  alternativeText?: string;
  /** Text, the chosen options, or the state of a button. */
  fieldValue?: string | readonly string[] | null;
  options?: readonly { exportValue: string; displayValue: string }[];
  password?: boolean;
  /** The state in which a button is on. */
  exportValue?: string;
  buttonValue?: string;
  pushButton?: boolean;
}

/** Invisible, hidden, not to be viewed (ISO 32000-1, 12.5.3). */
const hiddenFlags = 1 | 2 | 32;

/** "name of the field: what it holds", and notes, each once. */
function notesOf(annotations: readonly Annotation[]): string[] {
  const notes = annotations.flatMap((annotation): string[] => {
    if (((annotation.annotationFlags ?? 0) & hiddenFlags) !== 0) return [];
    if (annotation.subtype === "FreeText") return [(annotation.textContent ?? []).join(" ")];
    if (annotation.subtype !== "Widget") return [];
    const value = valueOf(annotation).trim();
    const name = annotation.alternativeText?.trim() || (annotation.fieldName ?? "").replace(/^.*\.|\[\d+\]$/g, "");
    return value === "" ? [] : [name === "" ? value : `${name}: ${value}`];
  });
  return [...new Set(notes.map((note) => note.replace(/\s+/g, " ").trim()))].filter((note) => note !== "");
}

function valueOf({ fieldType, fieldValue, options = [], password, ...button }: Annotation): string {
  if (fieldType === "Btn") {
    const on = button.exportValue ?? button.buttonValue;
    return !button.pushButton && typeof fieldValue === "string" && fieldValue === on ? fieldValue : "";
  }
  if (password || (fieldType !== "Tx" && fieldType !== "Ch")) return "";
  const values = typeof fieldValue === "string" ? [fieldValue] : (fieldValue ?? []);
  return values
    .map((value) => options.find(({ exportValue }) => exportValue === value)?.displayValue ?? value)
    .join(", ");
}

/** Fewer characters without a meaning are bullets and ornaments. */
const smallestUnknownShare = 0.02;
const smallestTextlessShare = 0.25;

/** What a reader would see and the text lacks, or undefined. */
function missingFrom(pages: readonly PageLines[], texts: readonly string[]): string | undefined {
  const unknown = pages.reduce((sum, page) => sum + page.unknown, 0);
  const known = texts.reduce((sum, text) => sum + text.length, 0);
  const textless = texts.filter((text) => text === "").length;
  const parts = [
    ...(textless > 1 && textless >= smallestTextlessShare * pages.length
      ? [`${textless} of its ${pages.length} pages hold no text (${recognise})`]
      : []),
    ...(unknown >= smallestUnknownShare * (known + unknown)
      ? [`its fonts do not say what ${unknown} of ${known + unknown} characters are`]
      : []),
  ];
  return parts.length === 0 ? undefined : parts.join("; ");
}

const recognise = "`ocrmypdf` reads the letters of pictures";

/** Why no page has any text, from what the first one shows. */
async function whyNoText(document: PdfDocument, pages: readonly PageLines[]): Promise<string> {
  const unknown = pages.reduce((sum, page) => sum + page.unknown, 0);
  const { OPS } = (await getResolvedPDFJS()) as { OPS: { showText: number } };
  const shown = await firstPage(document).catch(() => [] as number[]);
  if (unknown > 0 || shown.includes(OPS.showText))
    return `it holds no text: its fonts do not say which characters they show (${recognise})`;
  return `it holds no text: its pages are pictures or blank (${recognise})`;
}

/** The operators of the first page, as pdf.js numbers them. */
async function firstPage(document: PdfDocument): Promise<readonly number[]> {
  const page = await document.getPage(1);
  return (await page.getOperatorList()).fnArray as number[];
}
