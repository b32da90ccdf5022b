/**
 * @file A backend for tests whose answers depend on every cached number. Keys and values carry the token, its position,
 * layer, head and a hash of the whole history, of how it was cut into runs included: a wrong copy, length or cut
 * either throws or changes the tokens.
 */
import type { CacheBatch, DecodeInput, DecodeOutput, GenerateBackend, KvShape, PrefillInput } from "./backend.js";

const modulus = 1 << 22;

export interface FakeOptions {
  vocabSize?: number;
  /** Whether the history's hash includes how it was cut into runs, as rounding does in a real model. Default true. */
  cutsMatter?: boolean;
  /** Called before every call; may throw. */
  onCall?: (kind: "prefill" | "decode", input: CacheBatch) => void;
}

export class FakeBackend implements GenerateBackend {
  readonly kv: KvShape = { layers: 2, kvHeads: 2, headDim: 4 };
  readonly vocabSize: number;
  prefills: { batch: number; length: number }[] = [];
  decodes: number[] = [];
  /** Rows of decode steps get NaN while this is set. */
  diverged = false;
  readonly #options: FakeOptions;

  constructor(options: FakeOptions = {}) {
    this.#options = options;
    this.vocabSize = options.vocabSize ?? 40;
  }

  async prefill(input: PrefillInput): Promise<Float32Array> {
    this.#options.onCall?.("prefill", input);
    this.#checkBatch(input);
    const { batch, length } = input;
    if (length < 2 || length % 8 !== 0) throw new Error(`prefill of length ${length}`);
    this.prefills.push({ batch, length });
    const newKv = new Float32Array(this.kv.layers * 2 * batch * this.kv.kvHeads * length * this.kv.headDim).fill(-77);
    for (let row = 0; row < batch; row++) {
      let hash = this.#readRow(input, row);
      const start = input.cachedLengths_B[row];
      const cut = this.#options.cutsMatter === false ? 0 : 1000 + start * 131 + length;
      for (let i = 0; i < length; i++) {
        const token = input.tokens_B_L[row * length + i];
        hash = mix(hash, token, cut);
        this.#write(newKv, { batch, length, row, index: i }, token, start + i, hash);
      }
    }
    return newKv;
  }

  async decode(input: DecodeInput): Promise<DecodeOutput> {
    this.#options.onCall?.("decode", input);
    this.#checkBatch(input);
    const { batch } = input;
    this.decodes.push(batch);
    const newKv = new Float32Array(this.kv.layers * 2 * batch * this.kv.kvHeads * this.kv.headDim);
    const probabilities_B_V = new Float32Array(batch * this.vocabSize);
    for (let row = 0; row < batch; row++) {
      const token = input.tokens_B[row];
      const hash = mix(this.#readRow(input, row), token, this.#options.cutsMatter === false ? 0 : 7);
      this.#write(newKv, { batch, length: 1, row, index: 0 }, token, input.cachedLengths_B[row], hash);
      this.#distribution(hash, input.temperatures_B[row], probabilities_B_V, row);
    }
    if (this.diverged) {
      newKv.fill(Number.NaN);
      probabilities_B_V.fill(Number.NaN);
    }
    return { newKv, probabilities_B_V };
  }

  #distribution(hash: number, temperature: number, target: Float32Array, row: number): void {
    const weights = Array.from({ length: this.vocabSize }, (_, v) =>
      Math.exp((mix(hash, v, 3) % 1000) / 250 / temperature),
    );
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    weights.forEach((weight, v) => (target[row * this.vocabSize + v] = weight / total));
  }

  #checkBatch(input: CacheBatch): void {
    const size = input.batch * this.kv.kvHeads * input.capacity * this.kv.headDim;
    if (input.capacity % 64 !== 0) throw new Error(`capacity ${input.capacity}`);
    for (const array of [...input.keys, ...input.values]) if (array.length !== size) throw new Error("cache size");
    for (const array of [...input.keys, ...input.values]) {
      // A sum is finite only if its terms are.
      let sum = 0;
      for (let i = 0; i < array.length; i++) sum += array[i];
      if (!Number.isFinite(sum)) throw new Error("a number in the cache is not finite");
    }
  }

  /** The hash of a row's history, after checking that every cached number is what it should be. */
  #readRow(input: CacheBatch, row: number): number {
    const { kvHeads, headDim, layers } = this.kv;
    let hash = 1;
    for (let position = 0; position < input.cachedLengths_B[row]; position++) {
      const at = (row * kvHeads * input.capacity + position) * headDim;
      const token = input.keys[0][at];
      hash = input.keys[0][at + 3];
      for (let layer = 0; layer < layers; layer++) {
        for (let head = 0; head < kvHeads; head++) {
          const offset = ((row * kvHeads + head) * input.capacity + position) * headDim;
          for (let part = 0; part < 2; part++) {
            const array = part === 0 ? input.keys[layer] : input.values[layer];
            const same =
              array[offset] === token + 0.5 * part &&
              array[offset + 1] === position + 0.5 * part &&
              array[offset + 2] === 10 * layer + head + 0.5 * part &&
              array[offset + 3] === hash + 0.5 * part;
            if (!same) throw new Error(`corrupt cache: row ${row}, position ${position}, layer ${layer}, head ${head}`);
          }
        }
      }
    }
    return hash;
  }

  #write(
    newKv: Float32Array,
    at: { batch: number; length: number; row: number; index: number },
    token: number,
    position: number,
    hash: number,
  ): void {
    const { kvHeads, headDim, layers } = this.kv;
    for (let layer = 0; layer < layers; layer++) {
      for (let part = 0; part < 2; part++) {
        for (let head = 0; head < kvHeads; head++) {
          const row = ((layer * 2 + part) * at.batch + at.row) * kvHeads + head;
          const offset = (row * at.length + at.index) * headDim;
          newKv.set(
            [token, position, 10 * layer + head, hash].map((x) => x + part * 0.5),
            offset,
          );
        }
      }
    }
  }
}

function mix(hash: number, a: number, b: number): number {
  let x = Math.imul(hash ^ Math.imul(a + 1, 0x9e3779b9), 0x85ebca6b) ^ Math.imul(b + 1, 0xc2b2ae35);
  x = Math.imul(x ^ (x >>> 15), 0x2c1b3c6d);
  return ((x ^ (x >>> 13)) >>> 0) % modulus;
}
