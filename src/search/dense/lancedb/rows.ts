/** @file Passages and the vectors that were made of them elsewhere, row by row. */
import { UserError } from "../../../errors.js";
import type { StoredPassage } from "../../../types.js";
import type { VectorRows, VectorSource } from "../vectors/open-vectors.js";
import type { LanceRows } from "./build.js";

/**
 * Puts each passage beside its vector, which must come in the same order.
 * @throws UserError when there are more of one than of the other, or an id of the vectors is not that of the passage
 */
export async function* lanceRows(
  passages: AsyncIterable<readonly StoredPassage[]> | Iterable<readonly StoredPassage[]>,
  vectors: VectorSource,
): AsyncGenerator<LanceRows> {
  const reader = new RowReader(vectors);
  let seen = 0;
  for await (const some of passages) {
    if (some.length === 0) continue;
    yield { passages: some, vectors_N_E: await reader.take(some, seen) };
    seen += some.length;
  }
  if (seen !== vectors.count)
    throw new UserError(
      `${vectors.name} holds ${vectors.count} vectors, and the corpus ${seen} passages: they do not belong together.`,
    );
}

class RowReader {
  readonly #source: VectorSource;
  readonly #blocks: AsyncIterator<VectorRows>;
  #block: VectorRows = { vectors: new Float32Array() };
  #row = 0;

  constructor(source: VectorSource) {
    this.#source = source;
    this.#blocks = source.rows()[Symbol.asyncIterator]();
  }

  /** The vectors of the next passages; `first` is the number of the first of them. */
  async take(passages: readonly StoredPassage[], first: number): Promise<Float32Array> {
    const { dimensions, name } = this.#source;
    const taken = new Float32Array(passages.length * dimensions);
    for (let done = 0; done < passages.length;) {
      const left = this.#block.vectors.length / dimensions - this.#row;
      if (left === 0) {
        const next = await this.#blocks.next();
        if (next.done === true)
          throw new UserError(
            `${name} ends after ${first + done} vectors, and the corpus goes on: they do not belong together.`,
          );
        this.#block = next.value;
        this.#row = 0;
        continue;
      }
      const count = Math.min(left, passages.length - done);
      for (let row = 0; row < count; row++) {
        const id = this.#block.ids?.[this.#row + row];
        if (id !== undefined && id !== passages[done + row].id)
          throw new UserError(
            `Vector ${first + done + row} of ${name} belongs to "${id}", passage ${first + done + row} of the corpus is "${passages[done + row].id}": ` +
              "for a LanceDB table both must be in the same order. Sort one of them.",
          );
      }
      taken.set(
        this.#block.vectors.subarray(this.#row * dimensions, (this.#row + count) * dimensions),
        done * dimensions,
      );
      this.#row += count;
      done += count;
    }
    return taken;
  }
}
