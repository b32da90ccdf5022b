/**
 * @file Numbers of words, asked for by where the word stands in a text: no string is made for a word that is known, which is what most of the time
 * of indexing would go into.
 */

/** Words remembered; more are forgotten all at once, so memory stays bounded. */
const defaultCapacity = 1_000_000;

/** Numbers of a slot: the word's hash, where its units begin, their count + 1 (0: the slot is free), the word's number. */
const slotSize = 4;

export class WordNumbers {
  readonly #numberFor: (word: string) => number;
  readonly #capacity: number;
  /** An open hash table; everything about a word in one cache line. */
  #slots = new Int32Array(slotSize << 10);
  #size = 0;
  /** UTF-16 units of all words, one after another. */
  #units = new Uint16Array(1 << 12);
  #unitsEnd = 0;

  /** `numberFor` is asked about words that are not remembered; numbers are integers from −2³¹ to 2³¹ − 1. */
  constructor(numberFor: (word: string) => number, capacity = defaultCapacity) {
    this.#numberFor = numberFor;
    this.#capacity = capacity;
  }

  /** The number of the word from `start` to `end`. */
  numberAt(text: string, start: number, end: number): number {
    const slots = this.#slots;
    const units = this.#units;
    let hash = 0x811c9dc5;
    for (let at = start; at < end; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
    hash ^= hash >>> 15;
    const mask = slots.length - 1;
    const stored = end - start + 1;
    for (let slot = (hash * slotSize) & mask; slots[slot + 2] !== 0; slot = (slot + slotSize) & mask) {
      if (slots[slot] !== hash || slots[slot + 2] !== stored) continue;
      let at = start;
      for (let unit = slots[slot + 1]; at < end && units[unit] === text.charCodeAt(at); unit++) at++;
      if (at === end) return slots[slot + 3];
    }
    return this.#remember(text.slice(start, end), hash);
  }

  #remember(word: string, hash: number): number {
    const number = this.#numberFor(word);
    if (this.#size >= this.#capacity) this.#forget();
    if (this.#unitsEnd + word.length > this.#units.length) {
      const grown = new Uint16Array(Math.max(this.#unitsEnd + word.length, this.#units.length * 2));
      grown.set(this.#units);
      this.#units = grown;
    }
    const start = this.#unitsEnd;
    for (let at = 0; at < word.length; at++) this.#units[start + at] = word.charCodeAt(at);
    this.#unitsEnd += word.length;
    this.#size++;
    if (this.#size * 2 * slotSize > this.#slots.length) this.#grow();
    this.#put(hash, start, word.length + 1, number);
    return number;
  }

  #put(hash: number, start: number, stored: number, number: number): void {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let slot = (hash * slotSize) & mask;
    while (slots[slot + 2] !== 0) slot = (slot + slotSize) & mask;
    slots[slot] = hash;
    slots[slot + 1] = start;
    slots[slot + 2] = stored;
    slots[slot + 3] = number;
  }

  #grow(): void {
    const old = this.#slots;
    this.#slots = new Int32Array(old.length * 2);
    for (let slot = 0; slot < old.length; slot += slotSize)
      if (old[slot + 2] !== 0) this.#put(old[slot], old[slot + 1], old[slot + 2], old[slot + 3]);
  }

  #forget(): void {
    this.#slots.fill(0);
    this.#size = 0;
    this.#unitsEnd = 0;
  }
}
