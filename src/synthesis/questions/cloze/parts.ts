/**
 * @file What stands in a passage: paragraphs, entries (a term and what is said of it), tables, sentences. It is read from plain text, since an
 * index keeps nothing else; what looks like code or markup is in none of them.
 */
import { plainLine } from "../../shapes.js";

/** A term with what is said of it: `<dt>` and `<dd>`, a line of a glossary, an item of a list, a heading that is a name. */
export interface Entry {
  /** As it stands in the text, with its arguments and types. */
  term: string;
  /** Up to the next entry. */
  description: string;
}

/** Rows of cells, without the row that names the columns. */
export interface Table {
  /** Empty where no row looks like names of columns. */
  columns: string[];
  rows: string[][];
}

/** Paragraphs, each in one line. */
function paragraphsOf(text: string): string[] {
  return text
    .split(/\n\s*\n/)
    .map((paragraph) => paragraph.trim())
    .filter((paragraph) => paragraph !== "");
}

const sentences = new Intl.Segmenter("en", { granularity: "sentence" });
/** What ends with a full stop and ends no sentence. */
const abbreviation = /(?:\b(?:e\.g|i\.e|etc|vs|cf|Dr|Mr|Mrs|St|No|Fig|Sec|approx|incl|resp)|\b[A-Z])\.\s*$/;

/** Sentences of running text, each in one line. Lists, tables, code and headings have none. */
export function sentencesOf(text: string): string[] {
  return paragraphsOf(text).flatMap((paragraph) => {
    if (isMarkup(paragraph)) return [];
    const found: string[] = [];
    for (const { segment } of sentences.segment(plainLine(paragraph))) {
      const last = found.at(-1);
      if (last !== undefined && abbreviation.test(last)) found[found.length - 1] = last + segment;
      else found.push(segment);
    }
    return found.map((sentence) => sentence.trim()).filter(isSentence);
  });
}

/** Lines of code, of lists, of tables, of reStructuredText and AsciiDoc. */
function isMarkup(paragraph: string): boolean {
  return /^(?:[-*+•|#>$%]|\d+[.)] |\.\. |```|~~~|====|\+[-=+])/m.test(paragraph) || /[^\n]\n {4,}\S/.test(paragraph);
}

/** Running text: words with a capital at the beginning and a full stop at the end, without signs of markup. */
function isSentence(text: string): boolean {
  const words = text.split(" ");
  if (words.length < 6 || words.length > 45 || !/^\p{Lu}[\p{L}\p{N}_-]*[ ,]/u.test(text) || !/[.。]$/.test(text))
    return false;
  if (/:\w+:|::|``|https?:|[|{}\\<>\[\]]|\.\.\.|…|\$\(|==/.test(text)) return false;
  const letters = text.match(/[\p{L} ]/gu)?.length ?? 0;
  return letters / text.length > 0.85;
}

const marker = /^(?:[-*+•] +)?/;
const admonition =
  /^(?:note|notes|tip|warning|caution|important|examples?|see also|default|type|types|prev|previous|next|up|home|returns?|return value|parameters?|arguments?|options?|syntax|synopsis|description|name|usage|index|contents|table of contents|introduction|overview|details|added|changed|deprecated|availability|changes|history|author|authors|license|installation|install|api|features?|methods?|properties|events?|see|more|other|others|none|remarks?|output|input|result|results|rationale|motivation|background|summary|abstract|about|requirements?|footnotes?)s?:?$/i;

/** Entries in their order. `heading` is the last of the headings that the passage stands below: it is a term where it is a name. */
export function entriesOf(text: string, heading = ""): Entry[] {
  const paragraphs = paragraphsOf(text);
  const entries: Entry[] = [];
  let open: { term: string; parts: string[] } | undefined;
  const close = (): void => {
    const description = plainLine(open?.parts.join(" ") ?? "");
    if (open !== undefined && description !== "") entries.push({ term: open.term, description });
    open = undefined;
  };
  if (isName(heading)) open = { term: heading, parts: [] };
  for (const [index, paragraph] of paragraphs.entries()) {
    const inside = entryInside(paragraph);
    if (inside.length > 0) {
      close();
      entries.push(...inside);
    } else if (isTerm(paragraph) && startsText(paragraphs[index + 1])) {
      close();
      open = { term: cleanTerm(paragraph), parts: [] };
    } else if (isMarkup(paragraph)) close();
    else open?.parts.push(paragraph);
  }
  close();
  return entries;
}

/** Entries whose term and description stand in one paragraph. */
function entryInside(paragraph: string): Entry[] {
  const asciidoc = /^(\S[^\n]*)::\n\s+(\S[^]*)$/.exec(paragraph);
  if (asciidoc !== null && !asciidoc[2].includes("::\n"))
    return [{ term: cleanTerm(asciidoc[1]), description: plainLine(asciidoc[2]) }];
  const listed = [
    ...paragraph.matchAll(
      /^[-*+•] +[`*_]{1,3}([^`*\n]{1,60})[`*_]{1,3}:?((?: \([^)\n]*\)| `[^`\n]*`)*)\s*[-–—:]\s*(\S[^]*?)(?=\n[-*+•] |$(?![^]))/gm,
    ),
  ];
  if (listed.length > 0)
    return listed.map(([, term, types, description]) => ({
      term: cleanTerm(term),
      description: plainLine(`${types.includes("efault") ? `${types} ` : ""}${description}`),
    }));
  const [first, ...rest] = paragraph.split("\n");
  if (rest.length > 0 && isTerm(first) && startsText(rest.join(" ")) && !isMarkup(rest.join("\n")))
    return [{ term: cleanTerm(first), description: plainLine(rest.join(" ")) }];
  return [];
}

/** A line that names something: a few words without the end of a sentence. */
function isTerm(line: string): boolean {
  const term = line.replace(marker, "").replace(/¶$/, "").trim();
  return (
    !term.includes("\n") &&
    term.length <= 80 &&
    term.split(/\s+/).length <= 7 &&
    /[\p{L}\p{N}]/u.test(term) &&
    !/[.!?;,:|…]$|^[|>#"]|\s\|\s|^\d+[.)]|https?:/.test(term) &&
    !admonition.test(term)
  );
}

function startsText(paragraph: string | undefined): boolean {
  return (
    paragraph !== undefined &&
    /^\p{Lu}\S*\s+\S+\s+\S+/u.test(paragraph) &&
    !isMarkup(paragraph) &&
    /[.:)]$/.test(paragraph)
  );
}

/** One word that is no usual one: `--depth`, `fs.open`, `onSend`, `shared_buffers`. */
function isName(heading: string): boolean {
  const name = cleanTerm(heading);
  return (
    /^[-.@\w]{2,40}(?:\(.*\))?$/.test(name) &&
    /^-|[_.(\d]|[a-z][A-Z]|^[a-z]/.test(name) &&
    !admonition.test(name) &&
    !/^[\d.]+$/.test(name)
  );
}

function cleanTerm(term: string): string {
  return plainLine(
    term
      .replace(marker, "")
      .replace(/[¶`*]/g, "")
      .replace(/^['"](.*)['"]$/, "$1"),
  );
}

/** Tables, as lines of cells with bars between them. */
export function tablesOf(text: string): Table[] {
  // A cell of a drawn table goes on in the next line.
  if (/^\s*\+[-=]+\+/m.test(text)) return [];
  const tables: string[][][] = [[]];
  for (const line of text.split("\n")) {
    if (line.trim() === "") continue;
    const cells = cellsOf(line);
    if (cells === undefined) tables.push([]);
    else tables[tables.length - 1].push(cells);
  }
  return tables.filter((rows) => rows.length > 1).map(tableOf);
}

function cellsOf(line: string): string[] | undefined {
  if (!/\s\|\s|^\|.*\|$/.test(line.trim()) || /\\\||\|\||→|Prev \|/.test(line)) return undefined;
  const inner = line.trim().replace(/^\|/, "").replace(/\|$/, "");
  const cells = inner.split("|").map((cell) => cell.replace(/[`*]/g, "").trim());
  return cells.length >= 2 && cells.length <= 8 ? cells : undefined;
}

function tableOf(rows: string[][]): Table {
  const isRule = (cells: readonly string[]): boolean => cells.every((cell) => /^:?-{2,}:?$/.test(cell));
  const [first, second] = rows;
  const body = rows.slice(1).filter((cells) => !isRule(cells) && cells.length === first.length);
  if (isRule(second) || (body.length > 0 && first.every(isColumnName))) return { columns: first, rows: body };
  return { columns: [], rows: rows.filter((cells) => !isRule(cells)) };
}

function isColumnName(cell: string): boolean {
  return /^\p{Lu}[\p{L} /()-]*$/u.test(cell) && /\p{Ll}/u.test(cell) && cell.split(" ").length <= 3;
}
