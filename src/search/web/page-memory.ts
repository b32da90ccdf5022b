/** @file Texts of pages that were read lately: queries of one group find the same pages, and their sites are asked once. */

/** Forgets what was used longest ago when it holds too much. */
export class PageMemory {
  readonly #maxCharacters: number;
  /** Oldest use first: a Map keeps the order of insertion. */
  readonly #texts = new Map<string, string>();
  #characters = 0;

  /** @param maxCharacters UTF-16 units of all texts together */
  constructor(maxCharacters: number) {
    this.#maxCharacters = maxCharacters;
  }

  get(address: string): string | undefined {
    const text = this.#texts.get(address);
    if (text === undefined) return undefined;
    this.#texts.delete(address);
    this.#texts.set(address, text);
    return text;
  }

  set(address: string, text: string): void {
    this.#drop(address);
    this.#texts.set(address, text);
    this.#characters += text.length;
    for (const oldest of this.#texts.keys()) {
      if (this.#characters <= this.#maxCharacters) break;
      this.#drop(oldest);
    }
  }

  #drop(address: string): void {
    this.#characters -= this.#texts.get(address)?.length ?? 0;
    this.#texts.delete(address);
  }
}
