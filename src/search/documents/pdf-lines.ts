/** @file The lines of a PDF's pages: put together from stretches of text, without those that stand on page after page. */

/** A stretch of text of one font on one line; `str` is missing for marks of structure. */
export interface TextItem {
  str?: string;
  hasEOL?: boolean;
  /** The last two numbers are where it stands on the page, from the left and from the bottom, in points. */
  transform?: readonly number[];
}

interface Line {
  text: string;
  /** How high on the page it stands, as the page is turned for reading; whole points. */
  height: number;
}

export interface PageLines {
  lines: Line[];
  /** Signs that the file shows without saying which characters they are; they are left out. */
  unknown: number;
}

/** Controls, private use and the sign for what is unknown: a font that does not say what its glyphs mean. Its bullets are among them. */
const unknownSigns = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\ufffd\ue000-\uf8ff\u{f0000}-\u{10ffff}]/gu;
/** What leads the eye from an entry to its page number. */
const leaders = /(?: ?[.·․…‥]){4,} ?/g;
/** A line stands on page after page where its words, its height and the way its number follows the page's are the same on so many. */
const fewestPages = 3;
/** Such lines are the highest and the lowest of a page. */
const outermost = 2;

/** @param rotate degrees by which the page is turned for reading */
export function linesOf(items: readonly TextItem[], rotate = 0): PageLines {
  const lines: Line[] = [];
  let unknown = 0;
  let text = "";
  let height: number | undefined;
  const end = (): void => {
    const known = text.replace(unknownSigns, () => (unknown++, ""));
    const tidy = known.replace(/\s+/g, " ").replace(leaders, " ").trim();
    if (tidy !== "") lines.push({ text: tidy, height: height ?? 0 });
    text = "";
    height = undefined;
  };
  for (const { str = "", hasEOL, transform } of items) {
    // A line's end may carry the height of the next line.
    if (str !== "" && transform !== undefined) height ??= heightOf(transform, rotate);
    text += str;
    if (hasEOL) end();
  }
  end();
  return { lines, unknown };
}

function heightOf([, , , , x, y]: readonly number[], rotate: number): number {
  const turns = ((((rotate / 90) % 4) + 4) % 4) as 0 | 1 | 2 | 3;
  return Math.round([y, -x, -y, x][turns]);
}

/** The pages without running headers, footers and page numbers. A page that has nothing else keeps them. */
export function withoutRunningLines(pages: readonly (readonly Line[])[]): Line[][] {
  const candidates = pages.map((lines) => outermostLines(lines));
  const counts = new Map<string, number>();
  for (const [page, lines] of candidates.entries())
    for (const key of new Set([...lines].flatMap((line) => keysOf(line, page))))
      counts.set(key, (counts.get(key) ?? 0) + 1);
  return pages.map((lines, page) => {
    const isRunning = (line: Line): boolean =>
      candidates[page].has(line) && keysOf(line, page).some((key) => (counts.get(key) ?? 0) >= fewestPages);
    const rest = lines.filter((line) => !isRunning(line));
    return rest.length > 0 ? rest : [...lines];
  });
}

function outermostLines(lines: readonly Line[]): Set<Line> {
  const heights = [...new Set(lines.map(({ height }) => height))].sort((a, b) => a - b);
  const outer = new Set([...heights.slice(0, outermost), ...heights.slice(-outermost)]);
  return new Set(lines.filter(({ height }) => outer.has(height)));
}

const numbers = /\b(?:\d{1,5}|[ivxlc]{1,8})\b/gi;

/** What a line has in common with its like on other pages: the same text, or the same but for a first or last number that goes with the page's. */
function keysOf({ text, height }: Line, page: number): string[] {
  const found = [...text.matchAll(numbers)];
  const keys = [text];
  for (const place of new Set([found[0], found.at(-1)])) {
    if (place === undefined) continue;
    const [number] = place;
    const value = /\d/.test(number) ? Number(number) : romanValue(number);
    const rest = `${text.slice(0, place.index)}\0${text.slice(place.index + number.length)}`;
    keys.push(`${rest}\0${value - page}`);
  }
  return keys.map((key) => `${height} ${key}`);
}

const romanDigits: Readonly<Record<string, number>> = { i: 1, v: 5, x: 10, l: 50, c: 100 };

function romanValue(text: string): number {
  const values = [...text.toLowerCase()].map((digit) => romanDigits[digit]);
  return values.reduce((sum, value, place) => sum + (value < (values[place + 1] ?? 0) ? -value : value), 0);
}
