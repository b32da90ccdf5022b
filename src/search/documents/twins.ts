/**
 * @file The same page in two formats, as `page.html` beside `_sources/page.rst.txt`: the one whose reader knows less of its form is left out if the other holds it.
 * Only documents whose names differ in nothing but endings are compared, by the share of neighbouring words that both have (Broder's containment, 1997).
 */
import type { StoredPassage } from "../../types.js";
import type { GatheredDocument } from "./repeats.js";
import { documentEndings, type DocumentKind } from "./read.js";

/**
 * So much of a document's pairs of words must stand in the other. Of 823 true pairs of the real corpus (sources beside pages), nine in ten have 0.86 and more, and of
 * 311 others with one name none has 0.5; the copies of one manual in PDF and HTML have 0.96.
 */
const containment = 0.75;

/** Groups of one name with more text than this are left alone. Bytes of passages, and comparisons. */
const largestGroup = 64 * 1024 * 1024;
const mostPairs = 1_000_000;

/** Documents that have next to nothing of so many pairs in common are compared no further. */
const firstPairs = 256;
const leastOfFirst = 0.1;

/** A document of another folder must also be of about the same length: every licence holds the text of the shortest one. */
const longestElsewhere = 3;

/** Of longer documents only one in so many pairs is looked at, told by its hash: some hundreds of each. Bytes of passages. */
const bytesPerSample = 8 * 1024;

/**
 * By document left out: the document that holds it.
 * @param pause lets other work run, where it is time for it; what it throws ends the search
 */
export async function findTwins(
  documents: readonly GatheredDocument[],
  read: (place: number) => readonly StoredPassage[],
  pause: () => Promise<void>,
): Promise<Map<number, number>> {
  const twins = new Map<number, number>();
  for (const group of groupsOf(documents)) {
    const pairs = new Map<number, Set<number>>();
    const smallest = Math.min(...group.map((place) => sizeOf(documents[place])));
    const every = Math.max(1, Math.floor(smallest / bytesPerSample));
    for (const place of group) {
      await pause();
      pairs.set(place, wordPairs(read(place), every));
    }
    for (const place of group) {
      const rank = rankOf(documents[place].document.kind);
      const better = group.filter((other) => rankOf(documents[other].document.kind) < rank);
      const of = better.find((other) => {
        const [inner, outer] = [place, other].map((one) => pairs.get(one) as Set<number>);
        const [folder, otherFolder] = [place, other].map((one) => folderOf(documents[one].document.path));
        return (folder === otherFolder || outer.size <= inner.size * longestElsewhere) && isHeld(inner, outer);
      });
      if (of !== undefined) twins.set(place, of);
    }
  }
  return new Map([...twins].sort(([a], [b]) => a - b));
}

/** Places of documents with one name and several kinds; those of the better kind first. */
function groupsOf(documents: readonly GatheredDocument[]): number[][] {
  const groups = new Map<string, number[]>();
  for (const [place, document] of documents.entries()) {
    if (sizeOf(document) === 0) continue;
    const name = nameOf(document.document.path);
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [place]);
    else group.push(place);
  }
  const rank = (place: number): number => rankOf(documents[place].document.kind);
  return [...groups.values()]
    .filter((group) => new Set(group.map(rank)).size > 1 && group.length ** 2 <= mostPairs)
    .filter((group) => group.reduce((sum, place) => sum + sizeOf(documents[place]), 0) <= largestGroup)
    .map((group) => group.sort((a, b) => rank(a) - rank(b) || a - b));
}

function sizeOf({ startByte, endByte }: GatheredDocument): number {
  return endByte - startByte;
}

/** What a rendered page holds, its source may lack (what it includes); a PDF and plain text have no headings. */
function rankOf(kind: DocumentKind): number {
  const ranks: Partial<Record<DocumentKind, number>> = { html: 0, pdf: 2, text: 3 };
  return ranks[kind] ?? 1;
}

/** "_sources/library/signal.rst.txt" → "signal". */
function nameOf(path: string): string {
  let name = path.slice(folderOf(path).length).toLowerCase();
  for (;;) {
    const ending = documentEndings.find((one) => name.endsWith(one) && name.length > one.length);
    if (ending === undefined) return name;
    name = name.slice(0, -ending.length);
  }
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/") + 1);
}

const words = /[\p{L}\p{N}]+/gu;

/** Hashes of the pairs of neighbouring words, without case and marks: one in `every`. */
function wordPairs(passages: readonly StoredPassage[], every: number): Set<number> {
  const pairs = new Set<number>();
  let before = 0;
  for (const { text } of passages)
    for (const [word] of text.toLowerCase().matchAll(words)) {
      let hash = 0x811c9dc5;
      for (let index = 0; index < word.length; index++) hash = Math.imul(hash ^ word.charCodeAt(index), 0x01000193);
      const pair = (Math.imul(before, 0x9e3779b1) ^ hash) >>> 0;
      if (pair % every === 0) pairs.add(pair);
      before = hash;
    }
  return pairs;
}

function isHeld(inner: ReadonlySet<number>, outer: ReadonlySet<number>): boolean {
  let seen = 0;
  let held = 0;
  for (const pair of inner) {
    if (outer.has(pair)) held++;
    if (++seen === firstPairs && held < firstPairs * leastOfFirst) return false;
  }
  return held >= inner.size * containment;
}
