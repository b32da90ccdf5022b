/** @file The largest of many numbers, of which only some are kept. */

export class LargestNumbers {
  /** Heap whose root is the smallest of those kept. */
  readonly #heap: Float64Array;
  readonly #floor: number;
  #size = 0;

  /** `floor`: no number is smaller. */
  constructor(capacity: number, floor: number) {
    this.#heap = new Float64Array(capacity);
    this.#floor = floor;
  }

  /** The smallest number kept; the floor as long as there is room for more. */
  get threshold(): number {
    return this.#size < this.#heap.length ? this.#floor : this.#heap[0];
  }

  offer(value: number): void {
    const heap = this.#heap;
    if (this.#size < heap.length) {
      let at = this.#size++;
      for (let parent = (at - 1) >> 1; at > 0 && heap[parent] > value; parent = (at - 1) >> 1) {
        heap[at] = heap[parent];
        at = parent;
      }
      heap[at] = value;
    } else if (value > heap[0]) {
      this.#replaceRoot(value);
    }
  }

  /** Largest first. */
  sorted(): Float64Array {
    return this.#heap.slice(0, this.#size).sort().reverse();
  }

  #replaceRoot(value: number): void {
    const heap = this.#heap;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1] < heap[child]) child++;
      if (heap[child] >= value) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = value;
  }
}
