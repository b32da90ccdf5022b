import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { UserError } from "../../errors.js";
import { uniformAt } from "../../random.js";
import { type DrawOptions, TokenSampler } from "./sample-token.js";

const all: DrawOptions = { greedy: false, topK: 0, topP: 1 };

function softmax(logits: readonly number[]): Float32Array {
  const weights = logits.map((x) => Math.exp(x - Math.max(...logits)));
  const total = weights.reduce((sum, x) => sum + x, 0);
  return Float32Array.from(weights, (x) => x / total);
}

/** The slow, obvious truth: who is kept and with which probability. */
function filtered(row: Float32Array, { topK, topP }: DrawOptions): Map<number, number> {
  let kept = [...row.keys()].filter((token) => row[token] > 0).sort((a, b) => row[b] - row[a] || a - b);
  if (topK > 0) kept = kept.slice(0, topK);
  const total = kept.reduce((sum, token) => sum + row[token], 0);
  let mass = 0;
  let size = 0;
  if (topP < 1) {
    while (size < kept.length && (size === 0 || mass < topP * total)) mass += row[kept[size++]];
    kept = kept.slice(0, size);
  }
  const keptMass = kept.reduce((sum, token) => sum + row[token], 0);
  return new Map(kept.map((token) => [token, row[token] / keptMass]));
}

describe("TokenSampler", () => {
  it.each([
    all,
    { greedy: false, topK: 5, topP: 1 },
    { greedy: false, topK: 0, topP: 0.7 },
    { greedy: false, topK: 8, topP: 0.8 },
  ])("draws with the stated frequencies (chi-square): %o", (options) => {
    const row = softmax(Array.from({ length: 20 }, (_, i) => 2 * uniformAt(3, i)));
    const expected = filtered(row, options);
    const sampler = new TokenSampler(20);
    const counts = new Map<number, number>();
    const draws = 20_000;
    for (let i = 0; i < draws; i++) {
      const token = sampler.draw(row, 0, options, uniformAt(11, i));
      counts.set(token, (counts.get(token) ?? 0) + 1);
      expect(sampler.logprob).toBeCloseTo(Math.log(expected.get(token) ?? Number.NaN), 5);
    }
    let chiSquare = 0;
    for (const [token, p] of expected) chiSquare += ((counts.get(token) ?? 0) - draws * p) ** 2 / (draws * p);
    // Mean k − 1, deviation √(2(k − 1)): five deviations.
    const freedom = expected.size - 1;
    expect(chiSquare).toBeLessThan(freedom + 5 * Math.sqrt(2 * freedom) + 1);
  });

  it("agrees with the plain definition for every row, filter and uniform number", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 6 }), { minLength: 2, maxLength: 30 }),
        fc.nat(8),
        fc.constantFrom(1, 0.9071, 0.5133, 0.0123),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (weights, topK, topP, uniform) => {
          const total = weights.reduce((sum, x) => sum + x, 0);
          fc.pre(total > 0);
          const row = Float32Array.from(weights, (x) => x / total);
          const sampler = new TokenSampler(row.length);
          const options = { greedy: false, topK, topP };
          const token = sampler.draw(row, 0, options, uniform);
          const expected = filtered(row, options).get(token);
          expect(expected).toBeGreaterThan(0);
          expect(sampler.logprob).toBeCloseTo(Math.log(expected ?? 0), 5);
        },
      ),
    );
  });

  it("is greedy with the whole row's log-probability, the smaller id first among equals", () => {
    const sampler = new TokenSampler(4);
    const rows = Float32Array.of(0.1, 0.4, 0.4, 0.1, 0.7, 0.1, 0.1, 0.1);
    expect(sampler.draw(rows, 0, { ...all, greedy: true }, 0.99)).toBe(1);
    expect(sampler.logprob).toBeCloseTo(Math.log(0.4), 6);
    expect(sampler.draw(rows, 4, { ...all, greedy: true }, 0.99)).toBe(0);
  });

  it("never picks a token of probability zero, at both ends and when the sum falls short of 1", () => {
    const sampler = new TokenSampler(4);
    const row = Float32Array.of(0, 0.5, 0.49999, 0);
    for (const options of [all, { ...all, topP: 0.999 }, { ...all, topK: 3 }]) {
      const drawn = [0, 1 - 2 ** -53].map((uniform) => sampler.draw(row, 0, options, uniform));
      expect(drawn.sort()).toEqual([1, 2]);
    }
  });

  it("names diverged weights", () => {
    const sampler = new TokenSampler(3);
    const row = new Float32Array(3).fill(Number.NaN);
    for (const options of [all, { ...all, greedy: true }, { ...all, topK: 2 }, { ...all, topP: 0.5 }]) {
      expect(() => sampler.draw(row, 0, options, 0)).toThrow(UserError);
      expect(() => sampler.draw(row, 0, options, 0.5)).toThrow(/diverged/);
    }
  });
});
