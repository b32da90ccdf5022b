/**
 * @file Counter-based random numbers: a value is a pure function of (seed, counter), so a stream needs no state to be
 * saved, and what one consumer draws never shifts what another one gets.
 */

/** Mixes numbers and strings into one 32-bit seed (murmur3's finalizer over each part). */
export function deriveSeed(...parts: readonly (number | string)[]): number {
  let hash = 0x9e3779b9;
  for (const part of parts) {
    if (typeof part === "number") {
      hash = mix(hash ^ mix(part >>> 0));
      hash = mix(hash + Math.floor(part / 0x100000000));
    } else {
      for (let index = 0; index < part.length; index++) hash = mix(hash ^ part.charCodeAt(index));
      hash = mix(hash ^ 0x5bd1e995);
    }
  }
  return hash >>> 0;
}

/** The `counter`-th uniform number of the stream `seed`, in [0, 1) with 53 random bits. */
export function uniformAt(seed: number, counter: number): number {
  const high = mix(mix(seed ^ 0x2545f491) + Math.imul(counter, 0x9e3779b9)) >>> 0;
  const low = mix(high ^ mix(seed + 0x68bc21eb) ^ Math.imul(counter, 0x85ebca6b)) >>> 0;
  return ((high >>> 5) * 0x4000000 + (low >>> 6)) / 0x20000000000000;
}

/** Murmur3's 32-bit finalizer. */
function mix(value: number): number {
  let x = value | 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return x ^ (x >>> 16);
}

/** A stream for code that just wants the next number. Its whole state is `counter`. */
export class Random {
  readonly seed: number;
  counter = 0;

  constructor(...seedParts: readonly (number | string)[]) {
    this.seed = deriveSeed(...seedParts);
  }

  /** Uniform in [0, 1). */
  next(): number {
    return uniformAt(this.seed, this.counter++);
  }

  /** Uniform integer in [0, below). */
  integer(below: number): number {
    return Math.floor(this.next() * below);
  }

  /** One element, uniformly. */
  choice<T>(items: readonly T[]): T {
    if (items.length === 0) throw new Error("internal: choice from an empty list");
    return items[this.integer(items.length)];
  }

  /** Standard normal (Box–Muller). */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.next()));
    return radius * Math.cos(2 * Math.PI * this.next());
  }

  /**
   * Successes among `n` trials that succeed with probability `p`: by inversion where few are expected, else by transformed rejection (Hörmann 1993,
   * algorithm BTRS, doi:10.1080/00949659308811496). The time does not grow with `n`.
   */
  binomial(n: number, p: number): number {
    if (n === 0 || p <= 0) return 0;
    if (p > 0.5) return n - this.binomial(n, 1 - p);
    return n * p < 10 ? this.#fewSuccesses(n, p) : this.#manySuccesses(n, p);
  }

  #fewSuccesses(n: number, p: number): number {
    const odds = p / (1 - p);
    let [count, share, left] = [0, (1 - p) ** n, this.next()];
    while (left > share && count < n) {
      left -= share;
      count++;
      share *= (odds * (n - count + 1)) / count;
    }
    return count;
  }

  #manySuccesses(n: number, p: number): number {
    const odds = p / (1 - p);
    const deviation = Math.sqrt(n * p * (1 - p));
    const b = 1.15 + 2.53 * deviation;
    const a = -0.0873 + 0.0248 * b + 0.01 * p;
    const alpha = (2.83 + 5.1 / b) * deviation;
    const mode = Math.floor((n + 1) * p);
    for (;;) {
      const u = this.next() - 0.5;
      const v = this.next();
      const us = 0.5 - Math.abs(u);
      const k = Math.floor(((2 * a) / us + b) * u + n * p + 0.5);
      if (us >= 0.07 && v <= 0.92 - 4.2 / b) return k;
      if (k < 0 || k > n) continue;
      const bound =
        (mode + 0.5) * Math.log((mode + 1) / (odds * (n - mode + 1))) +
        (n + 1) * Math.log((n - mode + 1) / (n - k + 1)) +
        (k + 0.5) * Math.log((odds * (n - k + 1)) / (k + 1)) +
        (stirlingTail(mode) + stirlingTail(n - mode) - stirlingTail(k) - stirlingTail(n - k));
      if (Math.log((v * alpha) / (a / (us * us) + b)) <= bound) return k;
    }
  }

  /** A shuffled copy (Fisher–Yates). */
  shuffle<T>(items: readonly T[]): T[] {
    const result = [...items];
    for (let index = result.length - 1; index > 0; index--) {
      const other = this.integer(index + 1);
      [result[index], result[other]] = [result[other], result[index]];
    }
    return result;
  }
}

const stirlingTails = [
  0.08106146679532726, 0.0413406959554093, 0.02767792568499834, 0.02079067210376509, 0.01664469118982119,
  0.01387612882307075, 0.01189670994589177, 0.01041126526197209, 0.009255462182712733, 0.008330563433362871,
];

/** ln k! minus Stirling's approximation of it, with k + 1 in its place. */
function stirlingTail(k: number): number {
  if (k < stirlingTails.length) return stirlingTails[k];
  const square = (k + 1) ** 2;
  return (1 / 12 - (1 / 360 - 1 / 1260 / square) / square) / (k + 1);
}
