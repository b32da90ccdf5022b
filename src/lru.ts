/** @file A cache of bounded size that forgets what was used longest ago. */

export class Lru<Key, Value> {
  readonly #capacity: number;
  readonly #sizeOf: (value: Value) => number;
  /** Oldest use first: a Map keeps the order of insertion. */
  readonly #values = new Map<Key, Value>();
  #size = 0;

  /** @param sizeOf what a value counts for. Default: 1, so `capacity` is the number of entries */
  constructor(capacity: number, sizeOf: (value: Value) => number = () => 1) {
    this.#capacity = capacity;
    this.#sizeOf = sizeOf;
  }

  get(key: Key): Value | undefined {
    const value = this.#values.get(key);
    if (value === undefined) return undefined;
    this.#values.delete(key);
    this.#values.set(key, value);
    return value;
  }

  /** A value that alone is larger than the capacity is not kept, and displaces the others. */
  set(key: Key, value: Value): void {
    this.#drop(key);
    this.#values.set(key, value);
    this.#size += this.#sizeOf(value);
    for (const oldest of this.#values.keys()) {
      if (this.#size <= this.#capacity) break;
      this.#drop(oldest);
    }
  }

  #drop(key: Key): void {
    const value = this.#values.get(key);
    if (value === undefined) return;
    this.#size -= this.#sizeOf(value);
    this.#values.delete(key);
  }
}
