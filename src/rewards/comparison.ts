/** @file What a way of comparing answers has to provide: ours is in `normalise.ts`, SQuAD's in `squad.ts`. */

/** A way of comparing answers. */
export interface Comparison {
  /** An answer as it is compared: words with one space between. May be empty. */
  normalise(text: string): string;
  /** Prepares a text, of any length, for looking up normalised answers in it: their words one after another. */
  lookIn(text: string): (normalisedAnswer: string) => boolean;
}

/** Whether the words of `needle` stand in `haystack` one after another, both normalised; nothing stands in nothing only. */
export function holdsWords(haystack: string, needle: string): boolean {
  return needle === "" ? haystack === "" : ` ${haystack} `.includes(` ${needle} `);
}
