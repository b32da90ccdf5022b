/** @file Lines that most documents of a folder begin or end with: the name of a site, a licence, "Part of the git(1) suite". */
import type { StoredPassage } from "../../types.js";
import type { FoundDocument } from "./find.js";

/** As many documents must have a line at least, and so large a share of the folder's documents of one kind. */
const fewestDocuments = 5;
const share = 0.5;

/** Lines at one end of a document that are looked at; shorter ones than so many UTF-16 units say nothing about a site. */
const edge = 5;
const shortestLine = 12;

type End = "first" | "last";

interface Folder {
  documents: number;
  /** By end and line. */
  counts: Map<string, number>;
}

/** Counts the lines of all documents first, then takes them away. */
export class EdgeLines {
  readonly #folders = new Map<string, Folder>();
  readonly #leftOut = new Map<string, number>();

  /** @param first passage of the document */
  count(document: FoundDocument, first: StoredPassage, last: StoredPassage): void {
    const folder = this.#folderOf(document);
    folder.documents++;
    const lines = [
      ...first.text.split("\n", edge).map((line) => `first ${line.trim()}`),
      ...last.text
        .split("\n")
        .slice(-edge)
        .map((line) => `last ${line.trim()}`),
    ];
    for (const line of new Set(lines)) folder.counts.set(line, (folder.counts.get(line) ?? 0) + 1);
  }

  /** The passages without such lines; one that holds nothing else is left out. */
  without(document: FoundDocument, passages: readonly StoredPassage[]): StoredPassage[] {
    const folder = this.#folderOf(document);
    const isRepeated = (line: string, end: End): boolean => {
      const many = folder.counts.get(`${end} ${line}`) ?? 0;
      return (
        line.length >= shortestLine &&
        /\p{L}/u.test(line) &&
        many >= Math.max(fewestDocuments, folder.documents * share)
      );
    };
    const shortened = [...passages];
    for (const end of ["first", "last"] as const) {
      const place = end === "first" ? 0 : shortened.length - 1;
      const lines = shortened.at(place)?.text.split("\n") ?? [];
      const { length } = lines;
      for (let left = edge; left > 0; left--) {
        const line = (end === "first" ? lines[0] : lines.at(-1))?.trim();
        if (line === undefined || (line !== "" && !isRepeated(line, end))) break;
        if (line !== "") this.#leftOut.set(line, (this.#leftOut.get(line) ?? 0) + 1);
        if (end === "first") lines.shift();
        else lines.pop();
      }
      if (lines.length < length) shortened[place] = { ...shortened[place], text: lines.join("\n").trim() };
    }
    return shortened.filter(({ text }) => text !== "");
  }

  /** Lines that were left out, the most frequent first. */
  leftOut(): { line: string; documents: number }[] {
    return [...this.#leftOut]
      .map(([line, documents]) => ({ line, documents }))
      .sort((a, b) => b.documents - a.documents);
  }

  #folderOf({ path, kind }: FoundDocument): Folder {
    const key = `${kind} ${path.slice(0, path.lastIndexOf("/") + 1)}`;
    const known = this.#folders.get(key) ?? { documents: 0, counts: new Map<string, number>() };
    this.#folders.set(key, known);
    return known;
  }
}
