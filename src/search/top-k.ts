/** @file The best of many scored items, and the score that the next one has to beat. */

export interface Scored {
  /** Number of the item: of a passage in the index, from 0 in corpus order, or of a row. */
  item: number;
  score: number;
}

/** Keeps the best `capacity` of what it is offered, as a heap whose root is the worst of them. Of equal scores, the lower number is better. */
export class TopK {
  readonly #items: Uint32Array;
  readonly #scores: Float64Array;
  readonly #floor: number;
  #size = 0;

  /**
   * @param capacity at least 1
   * @param floor no score is lower
   */
  constructor(capacity: number, floor = 0) {
    this.#items = new Uint32Array(capacity);
    this.#scores = new Float64Array(capacity);
    this.#floor = floor;
  }

  /** The worst score kept; the floor as long as there is room for more. Nothing below it gets in. */
  get threshold(): number {
    return this.#size < this.#scores.length ? this.#floor : this.#scores[0];
  }

  offer(item: number, score: number): void {
    if (this.#size < this.#scores.length) this.#siftUp(this.#size++, item, score);
    else if (this.#isWorse(0, item, score)) this.#siftDown(item, score);
  }

  /** What is kept, best first. */
  sorted(): Scored[] {
    const kept = Array.from({ length: this.#size }, (_, at) => ({ item: this.#items[at], score: this.#scores[at] }));
    return kept.sort((a, b) => b.score - a.score || a.item - b.item);
  }

  /** The scores kept, highest first. */
  scores(): Float64Array {
    return this.#scores.slice(0, this.#size).sort().reverse();
  }

  #siftUp(from: number, item: number, score: number): void {
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (this.#isWorse(parent, item, score)) break;
      this.#move(parent, at);
      at = parent;
    }
    this.#items[at] = item;
    this.#scores[at] = score;
  }

  #siftDown(item: number, score: number): void {
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= this.#size) break;
      const right = child + 1;
      if (right < this.#size && this.#isWorse(right, this.#items[child], this.#scores[child])) child = right;
      if (!this.#isWorse(child, item, score)) break;
      this.#move(child, at);
      at = child;
    }
    this.#items[at] = item;
    this.#scores[at] = score;
  }

  #move(from: number, to: number): void {
    this.#items[to] = this.#items[from];
    this.#scores[to] = this.#scores[from];
  }

  /** Whether what is kept at a place ranks behind an item. */
  #isWorse(at: number, item: number, score: number): boolean {
    const kept = this.#scores[at];
    return kept < score || (kept === score && this.#items[at] > item);
  }
}
