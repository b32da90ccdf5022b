/** @file From float32 to 8 bits: what is lost of a matrix, and of which columns nothing. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { columnsOf, dequantise, quantise, type QuantisedMatrix } from "./quantise.js";

/** float32 with many zeros, and magnitudes that differ as those of weights and channels do. */
const magnitude = fc.oneof(
  fc.constant(0),
  fc.double({ min: -12, max: 6, noNaN: true }).map((power) => Math.fround(2 ** power)),
);
const number = fc.tuple(magnitude, fc.boolean()).map(([value, negative]) => (negative ? -value : value));
const numbers = (count: number, of: fc.Arbitrary<number>): fc.Arbitrary<Float32Array> =>
  fc.array(of, { minLength: count, maxLength: count }).map((values) => Float32Array.from(values));

/** One or two matrices over one input, what is known of its channels, and how many of them are wide. */
const cases = fc
  .record({
    inputs: fc.integer({ min: 1, max: 9 }),
    outputs: fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 2 }),
  })
  .chain(({ inputs, outputs }) =>
    fc.record({
      ranges: numbers(inputs, magnitude),
      matrices: fc.tuple(...outputs.map((count) => numbers(count * inputs, number))),
      wideCount: fc.integer({ min: 0, max: inputs }),
    }),
  );

describe("quantise", () => {
  it("loses at most half a step of each output's own scale, and nothing of wide channels", () => {
    fc.assert(
      fc.property(cases, ({ ranges, matrices, wideCount }) => {
        const quantised = quantise(matrices, ranges, wideCount);
        const { factors, wide, scale } = quantised;
        expect(wide).toEqual([...new Set(wide)].sort((a, b) => a - b));
        expect(wide).toHaveLength(wideCount);
        // One matrix below the other.
        const exact = matrices.flatMap((matrix) => [...matrix]);
        const worth = dequantise(quantised);
        expect(worth).toHaveLength(exact.length);
        worth.forEach((value, index) => {
          const [output, channel] = [Math.floor(index / ranges.length), index % ranges.length];
          if (wide.includes(channel)) return expect(value).toBe(exact[index]);
          // Half a step is that of the smoothed weights; the rest is the rounding of scale and factors to float32.
          const most = (scale[output] * factors[channel]) / 2 + 1e-5 * Math.abs(exact[index]);
          expect(Math.abs(value - exact[index])).toBeLessThanOrEqual(most);
        });
      }),
    );
  });

  it("uses all of the 8 bits of an output that is not zero, and none beyond", () => {
    fc.assert(
      fc.property(cases, ({ ranges, matrices, wideCount }) => {
        const { weight, scale } = quantise(matrices, ranges, wideCount);
        scale.forEach((step, output) => {
          const row = Array.from(ranges, (_, channel) => weight[output * ranges.length + channel]);
          expect(Math.max(...row.map(Math.abs))).toBe(step > 0 ? 127 : 0);
        });
      }),
    );
  });

  it("has the channels wide that stay largest after smoothing, the first of equals", () => {
    // Of one matrix with equal weights, smoothing takes the root of each range.
    const ones = new Float32Array(8).fill(1);
    expect(quantise([ones], Float32Array.of(4, 1, 9, 9), 2).wide).toEqual([2, 3]);
    expect(quantise([ones], Float32Array.of(5, 5, 5, 5), 2).wide).toEqual([0, 1]);
    // √(range·largest weight): a channel with large weights is wide before one with a larger range.
    expect(quantise([Float32Array.of(9, 1, 1, 1)], Float32Array.of(2, 1, 8, 1), 1).wide).toEqual([0]);
  });

  it("smooths by the largest weight of all matrices that read the input", () => {
    const [a, b] = [Float32Array.of(1, 1), Float32Array.of(4, 1)];
    const { factors } = quantise([a, b], Float32Array.of(1, 1), 0);
    expect([...factors]).toEqual([2, 1]);
    expect([...quantise([a], Float32Array.of(1, 1), 0).factors]).toEqual([1, 1]);
  });

  it.each([
    ["a matrix of zeros", [0, 0, 0, 0], [1, 2]],
    ["channels that no text has brought about", [1, -2, 3, 4], [0, 0]],
    ["an output of zeros", [0, 0, 3, -4], [1, 2]],
    ["a channel of zeros", [0, 2, 0, -4], [1, 2]],
  ])("keeps %s finite", (_, weights, ranges) => {
    const matrix = Float32Array.from(weights);
    const quantised = quantise([matrix], Float32Array.from(ranges), 0);
    const worth = dequantise(quantised);
    expect([...quantised.factors, ...quantised.scale, ...worth].every(Number.isFinite)).toBe(true);
    worth.forEach((value, index) => expect(value).toBeCloseTo(matrix[index], 1));
    weights.forEach((weight, index) => weight === 0 && expect(Math.abs(worth[index])).toBe(0));
  });

  it("takes a matrix of one input channel, which is exact but for float32, and altogether where it is wide", () => {
    const matrix = Float32Array.of(0.3, -7);
    const worth = dequantise(quantise([matrix], Float32Array.of(5), 0));
    worth.forEach((value, index) => expect(value).toBeCloseTo(matrix[index], 6));
    expect(dequantise(quantise([matrix], Float32Array.of(5), 1))).toEqual(matrix);
  });
});

describe("8-bit numbers the other way round", () => {
  // Two inputs, three outputs.
  const matrix: QuantisedMatrix = {
    weight: Int8Array.of(1, 4, 2, 5, 3, 6),
    scale: new Float32Array(3),
    factors: new Float32Array(2),
    wide: [],
    wideColumns: new Float32Array(0),
  };

  it("are some outputs of each input", () => {
    expect([...columnsOf(matrix)]).toEqual([1, 2, 3, 4, 5, 6]);
    expect([...columnsOf(matrix, 1, 3)]).toEqual([2, 3, 5, 6]);
    expect([...columnsOf(matrix, 2, 3)]).toEqual([3, 6]);
    expect([...columnsOf(matrix, 1, 1)]).toEqual([]);
  });

  it("whatever the size", () => {
    const [inputs, outputs] = [67, 150];
    const weight = Int8Array.from({ length: inputs * outputs }, (_, at) => (at * 7) % 127);
    const columns = columnsOf({ ...matrix, weight, scale: new Float32Array(outputs) }, 3, 140);
    const expected = Array.from({ length: inputs }, (_, i) =>
      Array.from({ length: 137 }, (_, o) => weight[(o + 3) * inputs + i]),
    );
    expect([...columns]).toEqual(expected.flat());
  });
});
