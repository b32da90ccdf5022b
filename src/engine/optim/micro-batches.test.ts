import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { planMicroBatches, type MicroBatch } from "./micro-batches.js";
import { rowOf, type SequenceRow } from "./sequence-row.js";

/** `length` tokens that no stretch of another seed begins like. */
const stretch = (seed: number, length: number): number[] =>
  Array.from({ length }, (_, t) => (t === 0 ? 100 + seed : (seed * 31 + t * 7) % 97));

/** Attempts at a few questions: a prompt, one of two first turns with passages, which may be cut, and one of some ends; loss from the prompt's end on, with gaps. */
const attempts = fc.array(
  fc
    .record({
      prompt: fc.option(fc.constantFrom(1, 2), { nil: undefined }),
      turn: fc.integer({ min: 0, max: 1 }),
      turnLength: fc.constantFrom(20, 60, 60, 61),
      end: fc.integer({ min: 0, max: 3 }),
      endLength: fc.integer({ min: 0, max: 12 }),
      gap: fc.integer({ min: 2, max: 5 }),
      isAsked: fc.integer({ min: 0, max: 5 }).map((one) => one > 0),
    })
    .map(({ prompt, turn, turnLength, end, endLength, gap, isAsked }) => {
      const begun = prompt === undefined ? [] : stretch(prompt, 48 + prompt);
      const tokens_T = [...begun, ...stretch(10 + turn, turnLength), ...stretch(20 + end, endLength)];
      return rowOf(tokens_T, (t) => isAsked && t >= Math.max(1, begun.length) && t % gap !== 0);
    }),
  { maxLength: 14 },
);
const limits = fc.record({ tokens: fc.integer({ min: 1, max: 2000 }), lossRows: fc.integer({ min: 1, max: 300 }) });

/** Tokens that a micro-batch computes, padding included. */
const tokensOf = ({ levels }: MicroBatch): number =>
  levels.reduce((sum, rows) => sum + rows.length * Math.max(0, ...rows.map(({ start, end }) => end - start)), 0);

/** The tokens of a sequence that the rows of its micro-batch give, from the first level to the last. */
function followed({ levels }: MicroBatch, rows: readonly SequenceRow[], index: number): number[] {
  let parent = -1;
  const tokens: number[] = [];
  for (const level of levels) {
    const places = level.flatMap(({ members }, place) => (members.includes(index) ? [place] : []));
    if (places.length === 0) break;
    const [place] = places;
    expect(places).toHaveLength(1);
    const row = level[place];
    expect(row.parent).toBe(parent);
    expect(row.start).toBe(tokens.length);
    // The tokens that are fed are those of the row's first sequence.
    tokens.push(...rows[row.members[0]].tokens_T.slice(row.start, row.end));
    parent = place;
  }
  return tokens;
}

describe("planMicroBatches", () => {
  it("places every sequence with loss once, with all tokens before its last prediction, and keeps the limits unless nothing can be cut", () => {
    let deep = 0;
    fc.assert(
      fc.property(attempts, limits, (rows, bounds) => {
        const batches = planMicroBatches(rows, bounds);
        const placed = batches.flatMap((batch) => batch.sequences).sort((a, b) => a - b);
        expect(placed).toEqual([...rows.keys()].filter((index) => rows[index].positions.length > 0));
        for (const batch of batches) {
          if ((batch.levels.at(2)?.length ?? 0) > 0) deep++;
          for (const index of batch.sequences) {
            const { tokens_T, positions } = rows[index];
            expect(followed(batch, rows, index)).toEqual(tokens_T.slice(0, positions.at(-1)));
          }
          if (batch.sequences.length === 1) continue;
          expect(tokensOf(batch)).toBeLessThanOrEqual(bounds.tokens);
          const asked = batch.sequences.map(
            (index) => new Set(rows[index].positions.map((t) => `${rows[index].tokens_T.slice(0, t + 1).join()}`)),
          );
          expect(new Set(asked.flatMap((some) => [...some])).size).toBeLessThanOrEqual(bounds.lossRows);
        }
      }),
      { numRuns: 300 },
    );
    expect(deep).toBeGreaterThan(20);
  });

  /** Attempts at one question, each "TURN END". */
  const group = (prompt: number, ...named: string[]): SequenceRow[] =>
    named.map((attempt) => {
      const [turn, end] = attempt.split(" ").map(Number);
      const tokens_T = [...stretch(prompt, 80), ...stretch(10 + turn, 60), ...stretch(20 + end, 10), 0];
      return rowOf(tokens_T, (t) => t >= 80);
    });
  const shapeOf = ({ levels }: MicroBatch) =>
    levels.map((rows) => rows.map(({ start, end, members }) => `${start}–${end} of ${members.length}`));

  it("computes a group's prompt once, and what follows one search, and several groups in one run where they fit", () => {
    const rows = [...group(1, "0 0", "1 0", "0 1", "0 1"), ...group(2, "0 0", "1 0", "0 1", "1 0")];
    const batches = planMicroBatches(rows, { tokens: 1000, lossRows: 1000 });
    expect(batches.map(({ layout }) => layout)).toEqual(["tree"]);
    expect(shapeOf(batches[0])).toEqual([
      ["0–80 of 4", "0–80 of 4"],
      // What only one attempt goes on with is no level of its own, and what several have to their end is one row.
      ["80–140 of 3", "80–150 of 1", "80–140 of 2", "80–150 of 2"],
      ["140–150 of 1", "140–150 of 2", "140–150 of 1", "140–150 of 1"],
    ]);
  });

  it("runs groups of other shapes apart, since padding would cost more than a run", () => {
    const rows = [...group(1, "0 0", "1 0", "0 1", "0 1"), ...group(2, "0 0", "0 1")];
    const batches = planMicroBatches(rows, { tokens: 1000, lossRows: 1000 });
    expect(batches.map(({ sequences }) => sequences)).toEqual([
      [0, 2, 3, 1],
      [4, 5],
    ]);
    // The first search is part of what all begin with.
    expect(shapeOf(batches[1])).toEqual([["0–140 of 2"], ["140–150 of 1", "140–150 of 1"], []]);
  });

  it("cuts a group that does not fit, each part behind what it begins with", () => {
    const rows = group(1, "0 0", "0 1", "1 0", "1 1");
    const batches = planMicroBatches(rows, { tokens: 200, lossRows: 1000 });
    expect(batches.map(({ layout, sequences }) => [layout, sequences])).toEqual([
      ["tree", [0, 1]],
      ["tree", [2, 3]],
    ]);
  });

  it("leaves apart what has too little in common", () => {
    const short = [1, 2].map((end) => rowOf([...stretch(1, 40), ...stretch(end, 30)], (t) => t >= 41));
    expect(planMicroBatches(short, { tokens: 1000, lossRows: 1000 }).map(({ layout }) => layout)).toEqual(["plain"]);
    const even = [1, 2].map((end) => rowOf([...stretch(1, 60), ...stretch(20 + end, 40 * end)], (t) => t >= 60));
    expect(planMicroBatches(even, { tokens: 1000, lossRows: 1000 }).map(({ layout }) => layout)).toEqual(["tree"]);
  });

  it("takes sequences apart that are much longer than the others of their group", () => {
    const rows = [2, 400, 2, 2].map((length, end) =>
      rowOf([...stretch(1, 60), ...stretch(20 + end, length)], (t) => t >= 60),
    );
    const batches = planMicroBatches(rows, { tokens: 5000, lossRows: 5000 });
    expect(batches.map(({ layout, sequences }) => [layout, sequences])).toEqual([
      ["tree", [0, 2, 3]],
      ["plain", [1]],
    ]);
  });

  it("bounds by itself what shares no prompt", () => {
    const alone = [1, 2, 3, 4].map((seed) => rowOf(stretch(seed, 61), () => true));
    const batches = planMicroBatches([...alone, ...group(1, "0 0", "0 1")], {
      ...{ tokens: 240, plainTokens: 120, lossRows: 1000 },
    });
    expect(batches.map(({ layout, sequences }) => [layout, sequences.length])).toEqual([
      ["tree", 2],
      ["plain", 2],
      ["plain", 2],
    ]);
  });

  it("keeps like lengths together, so that little is padded", () => {
    const rows = [10, 50, 11, 49, 12, 48].map((length, seed) => rowOf(stretch(seed, length + 1), () => true));
    expect(planMicroBatches(rows, { tokens: 150, lossRows: 1000 }).map((batch) => batch.sequences)).toEqual([
      [1, 3, 5],
      [4, 2, 0],
    ]);
  });
});
