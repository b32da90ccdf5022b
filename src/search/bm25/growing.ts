/** @file Typed arrays that grow by doubling. */

/** Unsigned 32-bit integers. */
export class GrowingUint32 {
  private values = new Uint32Array(1024);
  length = 0;

  push(value: number): void {
    if (this.length === this.values.length) this.reserve(this.length + 1);
    this.values[this.length++] = value;
  }

  at(index: number): number {
    return this.values[index];
  }

  set(index: number, value: number): void {
    this.values[index] = value;
  }

  increment(index: number): void {
    this.values[index]++;
  }

  /** Back to length 0; the memory is kept. */
  clear(): void {
    this.length = 0;
  }

  /** What is held, without a copy: valid until the next push. */
  view(): Uint32Array {
    return this.values.subarray(0, this.length);
  }

  private reserve(length: number): void {
    const grown = new Uint32Array(Math.max(length, this.values.length * 2));
    grown.set(this.values);
    this.values = grown;
  }
}
