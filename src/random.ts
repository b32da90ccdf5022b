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
