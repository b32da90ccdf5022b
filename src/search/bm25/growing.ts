/** @file Typed arrays that grow by doubling. */

abstract class Growing<Values extends Uint32Array | Float64Array> {
  readonly #kind: new (length: number) => Values;
  protected values: Values;
  length = 0;

  constructor(kind: new (length: number) => Values) {
    this.#kind = kind;
    this.values = new kind(1024);
  }

  push(value: number): void {
    if (this.length === this.values.length) this.#reserve(this.length + 1);
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
  view(): Values {
    return this.values.subarray(0, this.length) as Values;
  }

  #reserve(length: number): void {
    const grown = new this.#kind(Math.max(length, this.values.length * 2));
    grown.set(this.values);
    this.values = grown;
  }
}

/** Unsigned 32-bit integers. */
export class GrowingUint32 extends Growing<Uint32Array> {
  constructor() {
    super(Uint32Array);
  }
}

/** Numbers, such as byte offsets beyond 4 GiB. */
export class GrowingFloat64 extends Growing<Float64Array> {
  constructor() {
    super(Float64Array);
  }
}
