import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { childPassages } from "./child.test-support.js";
import { lanceRows } from "./rows.js";
import type { VectorSource } from "../vectors/open-vectors.js";

/** Rows [number, -number], in blocks of these sizes. */
function source(sizes: readonly number[], ids?: (row: number) => string): VectorSource {
  const count = sizes.reduce((sum, size) => sum + size, 0);
  return {
    name: "vectors.npy",
    dimensions: 2,
    count,
    async *rows() {
      let first = 0;
      for (const size of sizes) {
        const rows = Array.from({ length: size }, (_, row) => first + row);
        yield { vectors: Float64Array.from(rows.flatMap((row) => [row, -row])), ...(ids && { ids: rows.map(ids) }) };
        first += size;
      }
    },
    close: () => Promise.resolve(),
  };
}

async function collect(pieces: readonly number[], vectors: VectorSource): Promise<Map<string, number[]>> {
  const all = childPassages(pieces.reduce((sum, size) => sum + size, 0));
  const found = new Map<string, number[]>();
  const passages = pieces.map((size) => all.splice(0, size));
  for await (const rows of lanceRows(passages, vectors))
    rows.passages.forEach(({ id }, row) => found.set(id, [...(rows.vectors_N_E ?? []).slice(row * 2, row * 2 + 2)]));
  return found;
}

const sizes = fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 8 });

describe("lanceRows", () => {
  it("each passage gets its vector, whatever the pieces of both", () =>
    fc.assert(
      fc.asyncProperty(sizes, sizes, async (pieces, blocks) => {
        const total = Math.max(...[pieces, blocks].map((list) => list.reduce((sum, size) => sum + size, 0)));
        const filled = (list: number[]): number[] => [...list, total - list.reduce((sum, size) => sum + size, 0)];
        const found = await collect(
          filled(pieces),
          source(filled(blocks), (row) => `p${row}`),
        );
        expect([...found]).toEqual(childPassages(total).map(({ id }, row) => [id, [row, -row]]));
      }),
      { numRuns: 50, seed: 31 },
    ));

  it("more of one than of the other is an error", async () => {
    await expect(collect([4], source([3]))).rejects.toThrow(/ends after 3 vectors/);
    await expect(collect([2], source([3]))).rejects.toThrow(/3 vectors, and the corpus 2 passages/);
  });

  it("another order is an error that names both", async () => {
    await expect(
      collect(
        [3],
        source([3], (row) => `p${2 - row}`),
      ),
    ).rejects.toThrow(/Vector 0 of vectors.npy belongs to "p2", passage 0 of the corpus is "p0"/);
  });
});
