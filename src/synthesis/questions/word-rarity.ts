/** @file How rare words are: in how many passages each stands, counted in bounded memory. */
import { deriveSeed } from "../../random.js";

/** Words share a counter by chance: a count may be too high, never too low. */
const counters = 2 ** 20;

/** So many passages are few in an index of any size: a page and its copies. */
const few = 3;

export class WordRarity {
  readonly #counts = new Uint32Array(counters);
  #passages = 0;

  add(text: string): void {
    this.#passages++;
    for (const word of new Set(wordsIn(text))) this.#counts[placeOf(word)]++;
  }

  /** The share of passages that a word stands in, at most; of several words the rarest counts. In [0, 1]. */
  share(text: string): number {
    const shares = wordsIn(text).map((word) => this.#counts[placeOf(word)] / Math.max(1, this.#passages));
    return shares.length === 0 ? 1 : Math.min(...shares);
  }

  /** Whether the rarest word of a text stands in at most this share of the passages, or in no more than a few. */
  isRare(text: string, share: number): boolean {
    return this.share(text) * this.#passages <= Math.max(few, share * this.#passages);
  }
}

/** Words in lower case: runs of letters, digits and underscores. */
export function wordsIn(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}\p{M}_]+/gu) ?? [];
}

function placeOf(word: string): number {
  return deriveSeed(word) & (counters - 1);
}
