/**
 * @file Search-R1's `contents`: one string that holds a document's title and text. The first line is the title, in
 * double quotes; the rest is the text.
 */

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
