import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { Random } from "../../../random.js";
import { SearchError } from "../../engine.js";
import type { ExactPassages } from "./exact-passages.js";
import { exactOver } from "./in-memory.test-support.js";
import { Candidates, innerProduct, slackOf } from "./top-rows.js";
import type { StoredPassage } from "../../../types.js";

const passagesOf = (count: number): StoredPassage[] =>
  Array.from({ length: count }, (_, row) => ({ id: `p${row}`, title: "", text: `text ${row}` }));

function unitVectors(count: number, dimensions: number, seed: number, repeat = count): Float32Array {
  const random = new Random(seed);
  const all = new Float32Array(count * dimensions);
  for (let row = 0; row < count; row++) {
    const own = all.subarray(row * dimensions, (row + 1) * dimensions);
    if (row >= repeat) {
      own.set(all.subarray((row % repeat) * dimensions, ((row % repeat) + 1) * dimensions));
      continue;
    }
    for (let index = 0; index < dimensions; index++) own[index] = random.normal();
    const length = Math.hypot(...own);
    for (let index = 0; index < dimensions; index++) own[index] /= length;
  }
  return all;
}

/** All scores in float64, best first, ties by row. */
function bruteForce(vectors: Float32Array, query: Float32Array, k: number): { id: string; score: number }[] {
  const dimensions = query.length;
  return Array.from({ length: vectors.length / dimensions }, (_, row) => ({
    row,
    id: `p${row}`,
    score: innerProduct(query, vectors.subarray(row * dimensions, (row + 1) * dimensions)),
  }))
    .sort((a, b) => b.score - a.score || a.row - b.row)
    .slice(0, k)
    .map(({ id, score }) => ({ id, score }));
}

const opened: ExactPassages[] = [];
async function open(vectors: Float32Array, count: number): Promise<ExactPassages> {
  const nearest = await exactOver(passagesOf(count), vectors, "test");
  opened.push(nearest);
  return nearest;
}
afterAll(async () => {
  await Promise.all(opened.map((nearest) => nearest.close()));
});

const brief = (lists: { id: string; score: number }[][]): { id: string; score: number }[][] =>
  lists.map((list) => list.map(({ id, score }) => ({ id, score })));

describe("ExactPassages", () => {
  // More rows than one chunk, and every vector several times: ties are the rule.
  const [count, dimensions] = [20_000, 8];
  const vectors = unitVectors(count, dimensions, 1, 3_000);

  it("equals brute force in float64, order, ties and scores, whatever the batch", async () => {
    const nearest = await open(vectors, count);
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 70 }),
        fc.integer({ min: 1, max: 25 }),
        fc.integer(),
        async (queries, k, seed) => {
          const asked = unitVectors(queries, dimensions, seed);
          const lists = await nearest.search(asked.slice(), k);
          const rows = [0, queries - 1];
          for (const row of rows) {
            const query = asked.slice(row * dimensions, (row + 1) * dimensions);
            expect(brief([lists[row]])).toEqual([bruteForce(vectors, query, k)]);
            expect(await nearest.search(query, k)).toEqual([lists[row]]);
          }
        },
      ),
      { numRuns: 12, seed: 5 },
    );
  });

  it("two and three queries, and k beyond the passages", async () => {
    const few = unitVectors(7, dimensions, 2);
    const nearest = await open(few, 7);
    for (const queries of [1, 2, 3, 4, 5]) {
      const asked = unitVectors(queries, dimensions, queries);
      const lists = await nearest.search(asked, 50);
      expect(lists).toHaveLength(queries);
      for (const [row, list] of lists.entries())
        expect(brief([list])).toEqual([bruteForce(few, asked.slice(row * dimensions, (row + 1) * dimensions), 50)]);
    }
    expect(await nearest.search(new Float32Array(0), 3)).toEqual([]);
    expect([nearest.count, nearest.dimensions, nearest.encoder]).toEqual([7, dimensions, "test"]);
  });

  it("queries need not be of unit length", async () => {
    const nearest = await open(vectors, count);
    const query = unitVectors(1, dimensions, 6).map((value) => value * 1000);
    expect(brief(await nearest.search(query, 20))).toEqual([bruteForce(vectors, query, 20)]);
  });

  it("leaves the caller's queries alone", async () => {
    const nearest = await open(unitVectors(5, dimensions, 3), 5);
    const asked = unitVectors(1, dimensions, 9);
    await nearest.search(asked, 2);
    expect(asked).toEqual(unitVectors(1, dimensions, 9));
  });

  it("refuses queries of other dimensions, counts that are none, and callers who have left", async () => {
    const nearest = await open(unitVectors(5, dimensions, 3), 5);
    await expect(nearest.search(new Float32Array(7), 2)).rejects.toBeInstanceOf(SearchError);
    await expect(nearest.search(new Float32Array(8).fill(Number.NaN), 2)).rejects.toBeInstanceOf(SearchError);
    await expect(nearest.search(new Float32Array(8), 0)).rejects.toThrow(RangeError);
    const reason = new Error("left");
    await expect(nearest.search(new Float32Array(8), 1, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    await nearest.close();
    await expect(nearest.search(new Float32Array(8), 1)).rejects.toBeInstanceOf(SearchError);
  });
});

describe("Candidates", () => {
  it("holds every row that float64 would put among the best, though float32 scores are off", () =>
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 1, maxLength: 60 }),
        fc.integer({ min: 1, max: 8 }),
        fc.integer(),
        (exact, k, seed) => {
          const slack = 0.1;
          const random = new Random(seed);
          // Scores that are wrong by almost half of the slack.
          const rough = Float32Array.from(exact, (score) => score + (random.next() - 0.5) * 0.099);
          const candidates = new Candidates(k, slack);
          candidates.add(rough.subarray(0, 20), 0);
          candidates.add(rough.subarray(20), 20);
          const found = new Set(candidates.take());
          const best = exact.map((score, row) => ({ score, row })).sort((a, b) => b.score - a.score || a.row - b.row);
          for (const { row } of best.slice(0, k)) expect(found.has(row)).toBe(true);
        },
      ),
    ));

  it("stays small over many rows, and its slack covers float32", () => {
    const candidates = new Candidates(10, slackOf(384));
    const random = new Random(1);
    for (let chunk = 0; chunk < 40; chunk++)
      candidates.add(
        Float32Array.from({ length: 10_000 }, () => random.next()),
        chunk * 10_000,
      );
    expect(candidates.take().length).toBeLessThan(100);
    expect(slackOf(384)).toBeGreaterThan(2 * 384 * 2 ** -24);
  });
});
