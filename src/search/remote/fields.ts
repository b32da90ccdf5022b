/** @file Which fields of foreign documents hold title and text: named by the user, or recognised by their usual names. */
import { parseContents, withOrigin } from "../text/contents.js";
import type { StoredPassage } from "../../types.js";

export interface PassageFields {
  /** Absent where documents have no title, or have it in the first line of `contents`. */
  title?: string;
  text: string;
  /** The text is in Search-R1's form, with the title in its first line. */
  isContents: boolean;
}

/** Search-R1's and Pyserini's first, then what other tools write (LangChain, LlamaIndex, Haystack). */
const textNames = ["contents", "text", "content", "page_content", "passage", "body", "document"];
const titleNames = ["title", "name"];

/** What comes after the / in `COLLECTION/TITLE,TEXT` or `COLLECTION/TEXT`. */
export function parseFields(list: string): PassageFields {
  const names = list.split(",").map((name) => name.trim());
  const text = names[names.length - 1];
  return {
    text,
    isContents: names.length === 1 && text === "contents",
    ...(names.length > 1 ? { title: names[0] } : {}),
  };
}

/** The fields by their usual names; undefined where none is a text's. */
export function recogniseFields(names: readonly string[]): PassageFields | undefined {
  const text = textNames.find((name) => names.includes(name));
  if (text === undefined) return undefined;
  if (text === "contents") return { text, isContents: true };
  const title = titleNames.find((name) => names.includes(name));
  return { text, isContents: false, ...(title === undefined ? {} : { title }) };
}

/** Fields that say where a passage is from, in the documents of any index: read wherever they are text. */
export const originFields = ["url", "section"];

/** What a document says apart from its id; undefined where the text is missing. */
export function readFields(document: unknown, fields: PassageFields): Omit<StoredPassage, "id"> | undefined {
  if (typeof document !== "object" || document === null) return undefined;
  const record = document as Record<string, unknown>;
  const text = record[fields.text];
  if (typeof text !== "string") return undefined;
  if (fields.isContents) return withOrigin(parseContents(text), record);
  const title = fields.title === undefined ? "" : record[fields.title];
  return withOrigin({ title: typeof title === "string" ? title : "", text }, record);
}
