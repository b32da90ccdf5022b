/** @file The best passages seen so far, and the score that the next one has to beat. */

export interface ScoredPassage {
  /** Number of the passage in the index, from 0 in corpus order. */
  passage: number;
  score: number;
}

/** Keeps the best `capacity` of what it is offered, as a heap whose root is the worst of them. Equal scores: the lower number is better. */
export class TopPassages {
  readonly #heap: ScoredPassage[] = [];
  readonly #capacity: number;

  /** `capacity`: at least 1. */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** The worst score kept; 0 as long as there is room for more. Nothing below it gets in. */
  get threshold(): number {
    return this.#heap.length < this.#capacity ? 0 : this.#heap[0].score;
  }

  offer(passage: number, score: number): void {
    const heap = this.#heap;
    if (heap.length < this.#capacity) {
      heap.push({ passage, score });
      this.#siftUp(heap.length - 1);
    } else if (isWorse(heap[0], passage, score)) {
      heap[0] = { passage, score };
      this.#siftDown();
    }
  }

  /** Best first. Nothing may be offered afterwards. */
  sorted(): ScoredPassage[] {
    return this.#heap.sort((a, b) => b.score - a.score || a.passage - b.passage);
  }

  #siftUp(from: number): void {
    const heap = this.#heap;
    const item = heap[from];
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isWorse(item, heap[parent].passage, heap[parent].score)) break;
      heap[at] = heap[parent];
      at = parent;
    }
    heap[at] = item;
  }

  #siftDown(): void {
    const heap = this.#heap;
    const item = heap[0];
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      const right = child + 1;
      if (right < heap.length && isWorse(heap[right], heap[child].passage, heap[child].score)) child = right;
      if (!isWorse(heap[child], item.passage, item.score)) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = item;
  }
}

/** Whether `a` ranks behind the other passage. */
function isWorse(a: ScoredPassage, passage: number, score: number): boolean {
  return a.score < score || (a.score === score && a.passage > passage);
}
