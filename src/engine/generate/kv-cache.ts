/** @file Keys and values of all slots: one array per layer for each, owned here and lent to the runtime without copies. */
import type { KvShape } from "./backend.js";
import { freeMemory } from "./free-memory.js";

/** Capacities are multiples of this, so that the order in which attention sums does not depend on them. */
const capacityStep = 64;

/** The smallest capacity that holds `length` positions. */
export function capacityFor(length: number): number {
  return Math.max(1, Math.ceil(length / capacityStep)) * capacityStep;
}

/** Bytes that one position of one sequence takes in all layers. */
export function bytesPerPosition(shape: KvShape): number {
  return shape.layers * 2 * shape.kvHeads * shape.headDim * Float32Array.BYTES_PER_ELEMENT;
}

/** Views of the first rows, as a backend takes them. */
interface CacheViews {
  keys: Float32Array[];
  values: Float32Array[];
}

/**
 * Arrays `[rows, kvHeads, capacity, headDim]`. Index 2·layer of `#arrays` holds keys, 2·layer + 1 values: the order
 * in which a backend returns new ones. The caller knows how many positions of a row are valid; the
 * rest is stale or zero, but finite. Memory that was once taken is kept and laid out anew until `free`.
 */
export class KvCache {
  readonly shape: KvShape;
  rows: number;
  capacity: number;
  readonly #arrays: Float32Array<ArrayBuffer>[];
  #views: CacheViews | undefined;
  #viewRows = 0;

  constructor(shape: KvShape, rows: number, capacity = capacityStep) {
    this.shape = shape;
    this.rows = rows;
    this.capacity = capacity;
    const size = rows * shape.kvHeads * capacity * shape.headDim;
    this.#arrays = Array.from({ length: 2 * shape.layers }, () => new Float32Array(size));
  }

  /** Zero-copy views of rows [0, rows). */
  views(rows: number): CacheViews {
    if (!this.#views || this.#viewRows !== rows) {
      const size = rows * this.#rowSize();
      const part = (offset: number) =>
        Array.from({ length: this.shape.layers }, (_, layer) => this.#arrays[2 * layer + offset].subarray(0, size));
      this.#views = { keys: part(0), values: part(1) };
      this.#viewRows = rows;
    }
    return this.#views;
  }

  /** Changes the layout and keeps the first `lengths_R[row]` positions of each row that still exists. */
  resize(rows: number, capacity: number, lengths_R: ArrayLike<number>): void {
    if (rows === this.rows && capacity === this.capacity) return;
    const size = rows * this.shape.kvHeads * capacity * this.shape.headDim;
    const kept = Math.min(rows, this.rows, lengths_R.length);
    for (let index = 0; index < this.#arrays.length; index++) {
      const source = this.#arrays[index];
      const target = source.length >= size ? source : new Float32Array(size);
      if (target !== source || capacity !== this.capacity) this.#relayout(source, target, kept, capacity, lengths_R);
      this.#arrays[index] = target;
      if (target !== source) freeMemory([source]);
    }
    this.rows = rows;
    this.capacity = capacity;
    this.#views = undefined;
  }

  /** In place it is safe in one direction: towards higher addresses from the last block, towards lower from the first. */
  #relayout(
    source: Float32Array,
    target: Float32Array,
    rows: number,
    capacity: number,
    lengths_R: ArrayLike<number>,
  ): void {
    const { kvHeads, headDim } = this.shape;
    const oldBlock = this.capacity * headDim;
    const newBlock = capacity * headDim;
    const blocks = rows * kvHeads;
    for (let step = 0; step < blocks; step++) {
      const block = newBlock > oldBlock ? blocks - 1 - step : step;
      const count = Math.min(lengths_R[Math.floor(block / kvHeads)], capacity) * headDim;
      if (count === 0) continue;
      const from = block * oldBlock;
      if (target === source) target.copyWithin(block * newBlock, from, from + count);
      else target.set(source.subarray(from, from + count), block * newBlock);
    }
  }

  /** Copies positions [start, end) of one row to the same place in another. */
  copyPositions(from: number, to: number, start: number, end: number): void {
    const { kvHeads, headDim } = this.shape;
    const block = this.capacity * headDim;
    for (const array of this.#arrays) {
      for (let head = 0; head < kvHeads; head++) {
        const source = (from * kvHeads + head) * block;
        const target = (to * kvHeads + head) * block + start * headDim;
        array.copyWithin(target, source + start * headDim, source + end * headDim);
      }
    }
  }

  /** Exchanges two rows that hold `lengthA` and `lengthB` valid positions. */
  swapRows(a: number, b: number, lengthA: number, lengthB: number): void {
    if (a === b) return;
    if (lengthA === 0 || lengthB === 0) {
      if (lengthA > 0) this.copyPositions(a, b, 0, lengthA);
      if (lengthB > 0) this.copyPositions(b, a, 0, lengthB);
      return;
    }
    const { kvHeads, headDim } = this.shape;
    const count = Math.max(lengthA, lengthB) * headDim;
    const block = this.capacity * headDim;
    const saved = new Float32Array(count);
    for (const array of this.#arrays) {
      for (let head = 0; head < kvHeads; head++) {
        const startA = (a * kvHeads + head) * block;
        const startB = (b * kvHeads + head) * block;
        saved.set(array.subarray(startA, startA + count));
        array.copyWithin(startA, startB, startB + count);
        array.set(saved, startB);
      }
    }
  }

  /** Gives the memory back; the cache cannot be used afterwards. */
  free(): void {
    freeMemory(this.#arrays.splice(0));
    this.#views = undefined;
  }

  /** Zeroes a row, so that numbers that are not finite cannot reach the sequence that takes it next. */
  clearRow(row: number): void {
    const size = this.#rowSize();
    for (const array of this.#arrays) array.fill(0, row * size, (row + 1) * size);
  }

  /**
   * Puts one new position into each of the first `batch` rows, row b at `lengths_B[b]`.
   * @param newKv `[layers, 2, batch, kvHeads, 1, headDim]`
   */
  append(newKv: Float32Array, batch: number, lengths_B: Int32Array): void {
    const { kvHeads, headDim } = this.shape;
    const block = this.capacity * headDim;
    for (let index = 0; index < this.#arrays.length; index++) {
      const array = this.#arrays[index];
      let source = index * batch * kvHeads * headDim;
      for (let row = 0; row < batch; row++) {
        let target = row * kvHeads * block + lengths_B[row] * headDim;
        for (let head = 0; head < kvHeads; head++) {
          for (let i = 0; i < headDim; i++) array[target + i] = newKv[source + i];
          source += headDim;
          target += block;
        }
      }
    }
  }

  /**
   * Puts the first `count` new positions of row `index` of a prefill run into `row`, from position `start` on.
   * @param newKv `[layers, 2, batch, kvHeads, length, headDim]`
   */
  writePiece(
    newKv: Float32Array,
    run: { batch: number; length: number; index: number },
    row: number,
    start: number,
    count: number,
  ): void {
    const { kvHeads, headDim } = this.shape;
    for (let part = 0; part < this.#arrays.length; part++) {
      for (let head = 0; head < kvHeads; head++) {
        const source = ((part * run.batch + run.index) * kvHeads + head) * run.length * headDim;
        const target = ((row * kvHeads + head) * this.capacity + start) * headDim;
        this.#arrays[part].set(newKv.subarray(source, source + count * headDim), target);
      }
    }
  }

  /** Copies the first `length` positions of `row` into row `index` of another cache. */
  copyInto(other: KvCache, row: number, index: number, length: number): void {
    if (length === 0) return;
    const { kvHeads, headDim } = this.shape;
    for (let part = 0; part < this.#arrays.length; part++) {
      for (let head = 0; head < kvHeads; head++) {
        const source = (row * kvHeads + head) * this.capacity * headDim;
        const target = (index * kvHeads + head) * other.capacity * headDim;
        other.#arrays[part].set(this.#arrays[part].subarray(source, source + length * headDim), target);
      }
    }
  }

  #rowSize(): number {
    return this.shape.kvHeads * this.capacity * this.shape.headDim;
  }
}
