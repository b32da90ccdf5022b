import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Refused } from "./chunks.js";
import { askChunks, chunksOf, isAnswer, isRefusal, isolateRefused } from "./chunks.js";

const never = new AbortController().signal;
const lengthOf = (item: string): number => item.length;

/** A failure as services make them. */
const failure = (status: number): Error => Object.assign(new Error(`the server answered ${status}`), { status });

/** A server that takes no item with an x, and no request of more than `most` items; each answer is its item in capitals. */
function server(
  most = Infinity,
  status = 400,
): { asked: string[][]; ask: (items: readonly string[]) => Promise<string[]> } {
  const asked: string[][] = [];
  const ask = async (items: readonly string[]): Promise<string[]> => {
    asked.push([...items]);
    if (items.length > most || items.some((item) => item.includes("x"))) throw failure(status);
    return items.map((item) => item.toUpperCase());
  };
  return { asked, ask };
}

const shown = (answers: readonly (string | Refused)[]): string[] =>
  answers.map((answer) => (isAnswer(answer) ? answer : `refused: ${answer.error.message}`));

describe("isolateRefused", () => {
  it("names the items that are refused and answers all others, whatever they are, as long as one is taken", () =>
    fc.assert(
      fc.asyncProperty(fc.array(fc.constantFrom("a", "bb", "cx", "x"), { maxLength: 40 }), async (items) => {
        fc.pre(items.length === 0 || items.some((item) => !item.includes("x")));
        const smallest = items.filter((item) => !item.includes("x"));
        // The smallest are taken: it is the length that the server minds.
        const { asked, ask } = server();
        const answers = await isolateRefused(items, ask, (item) => (smallest.includes(item) ? 0 : 1));
        expect(answers.map((answer) => isAnswer(answer))).toEqual(items.map((item) => !item.includes("x")));
        expect(answers.filter(isAnswer)).toEqual(smallest.map((item) => item.toUpperCase()));
        expect(asked.length).toBeLessThanOrEqual(Math.max(1, 2 * items.length));
      }),
      { numRuns: 200, seed: 3 },
    ));

  it("asks once where nothing is refused, and about 2·log2(n) times more for one of n", async () => {
    const items = Array.from({ length: 64 }, (_, index) => `item ${index}`);
    const clean = server();
    await isolateRefused(items, clean.ask, lengthOf);
    expect(clean.asked).toHaveLength(1);
    for (const place of [0, 17, 63]) {
      const { asked, ask } = server();
      const answers = await isolateRefused(items.with(place, "too long x"), ask, lengthOf);
      expect(answers.map(isAnswer).indexOf(false)).toBe(place);
      expect(answers.filter(isAnswer)).toHaveLength(63);
      expect(asked.length).toBeLessThanOrEqual(1 + 2 * 6 + 1);
    }
  });

  it("takes requests that are only too large apart, and refuses nothing", async () => {
    const { ask } = server(3, 413);
    expect(shown(await isolateRefused([..."abcdefgh"], ask, lengthOf))).toEqual([..."ABCDEFGH"]);
  });

  it("stops at a server that takes nothing: after three items alone, the smallest among them", async () => {
    const items = Array.from({ length: 256 }, (_, index) => `x${"y".repeat(300 - index)}`);
    const { asked, ask } = server();
    const answers = await isolateRefused(items, ask, lengthOf);
    expect(answers.every((answer) => !isAnswer(answer))).toBe(true);
    expect(asked).toHaveLength(1 + 8 + 2);
    expect(asked.slice(-2)).toEqual([[items[255]], [items[254]]]);
  });

  it.each([401, 403, 404, 429, 500])("does not take a request apart for %i", async (status) => {
    const { asked, ask } = server(0, status);
    await expect(isolateRefused(["a", "b"], ask, lengthOf)).rejects.toThrow(`answered ${status}`);
    expect(asked).toHaveLength(1);
  });

  it("knows refusals by their status alone", () => {
    expect([400, 413, 414, 422].every((status) => isRefusal(failure(status)))).toBe(true);
    expect([new Error("400"), { status: 400 }, undefined, failure(200)].some(isRefusal)).toBe(false);
  });
});

describe("askChunks", () => {
  it("asks for a few chunks at a time, and joins their answers in order", async () => {
    let [now, most] = [0, 0];
    const chunks: number[][] = [];
    const answers = await askChunks(
      chunksOf([1, 2, 3, 4, 5, 6, 7], 2),
      { concurrency: 2, sizeOf: (item) => item },
      never,
      async (chunk) => {
        chunks.push([...chunk]);
        most = Math.max(most, ++now);
        await new Promise((resolve) => setTimeout(resolve, 10 - chunk[0]));
        now--;
        return chunk.map((item) => item * 10);
      },
    );
    expect(answers).toEqual([10, 20, 30, 40, 50, 60, 70]);
    expect(chunks.map(({ length }) => length)).toEqual([2, 2, 2, 1]);
    expect(most).toBe(2);
  });

  it("a chunk of nothing but refused items takes no other along", async () => {
    const { ask } = server();
    const chunks = [["xx", "x"], ["a"], ["x"], ["b", "xy"]];
    const answers = await askChunks(chunks, { concurrency: 1, sizeOf: lengthOf }, never, ask);
    expect(answers.map((answer) => (isAnswer(answer) ? answer : "-"))).toEqual(["-", "-", "A", "-", "B", "-"]);
  });

  it("a server that takes nothing is not asked for every chunk", async () => {
    const { asked, ask } = server(0);
    const items = Array.from({ length: 2_000 }, (_, index) => `${index}`);
    const answers = await askChunks(chunksOf(items, 64), { concurrency: 1, sizeOf: lengthOf }, never, ask);
    expect(answers).toHaveLength(2_000);
    expect(answers.some(isAnswer)).toBe(false);
    expect(asked.length).toBeLessThanOrEqual(2 * (1 + 6 + 2));
  });

  it("another failure ends all", async () => {
    const { asked, ask } = server(0, 401);
    const asking = askChunks(chunksOf(["a", "b", "c"], 1), { concurrency: 1, sizeOf: lengthOf }, never, ask);
    await expect(asking).rejects.toThrow("401");
    expect(asked).toHaveLength(1);
  });
});
