/**
 * @file Search-R1's `contents`: one string that holds a document's title and text. The first line is the title, in
 * double quotes; the rest is the text. Beside it may stand where the text is from.
 */
import type { StoredPassage } from "../../types.js";

/**
 * Title and text of a `contents` string. One pair of quotes around the title is taken off. A single line without quotes is
 * all text: user-made corpora often have no titles.
 */
export function parseContents(contents: string): { title: string; text: string } {
  const newline = contents.indexOf("\n");
  const firstLine = (newline < 0 ? contents : contents.slice(0, newline)).trim();
  const isQuoted = firstLine.length >= 2 && firstLine.startsWith('"') && firstLine.endsWith('"');
  if (newline < 0 && !isQuoted) return { title: "", text: contents };
  return { title: isQuoted ? firstLine.slice(1, -1) : firstLine, text: newline < 0 ? "" : contents.slice(newline + 1) };
}

/** The inverse of {@link parseContents}; line breaks inside the title become spaces. */
export function formatContents(passage: { title: string; text: string }): string {
  return `"${passage.title.replace(/\s*[\r\n]+\s*/g, " ")}"\n${passage.text}`;
}

/**
 * The passage with `url` and `section` where the record that it was read from has them as text. Other things under these names are passed
 * over: they are common in the corpora of others.
 */
export function withOrigin<Found extends object>(
  passage: Found,
  { url, section }: { url?: unknown; section?: unknown },
): Found & Pick<StoredPassage, "url" | "section"> {
  const found: Found & Pick<StoredPassage, "url" | "section"> = passage;
  if (typeof url === "string" && url !== "") found.url = url;
  if (typeof section === "string" && section !== "") found.section = section;
  return found;
}
