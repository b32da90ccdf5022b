import { describe, expect, it } from "vitest";
import { tinyConfig } from "../model/tiny-config.test-support.js";
import { int8Speedup, runtimeProducts, sumsAreExact, type Int8Products } from "./products.js";

const runtime = { threads: 1, provider: "cpu" };

/** Of whole numbers, whose largest magnitude in a row is 127; pairs are added as `add` does. */
const products =
  (add: (a: number, b: number) => number): Int8Products =>
  (x, weight, { rows, inputs, outputs }) => {
    const y = new Float32Array(rows * outputs);
    for (let row = 0; row < rows; row++) {
      for (let o = 0; o < outputs; o++) {
        // As kernels have it: unsigned numbers around 128, and the weights' sum taken off at the end.
        const product = (i: number): number => (x[row * inputs + i] + 128) * weight[i * outputs + o];
        for (let i = 0; i < inputs; i += 2) y[row * outputs + o] += add(product(i), product(i + 1));
        for (let i = 0; i < inputs; i++) y[row * outputs + o] -= 128 * weight[i * outputs + o];
      }
    }
    return Promise.resolve(y);
  };

describe("sums of 8-bit products", () => {
  it("are exact where pairs are added in 32 bits, and are found out where 16 bits cut them off", async () => {
    expect(await sumsAreExact(products((a, b) => a + b))).toBe(true);
    const saturating = (a: number, b: number): number => Math.max(-32768, Math.min(32767, a + b));
    expect(await sumsAreExact(products(saturating))).toBe(false);
    expect(await sumsAreExact(() => Promise.resolve(new Float32Array(8 * 48).fill(NaN)))).toBe(false);
  });

  it("of the runtime are the same, where numbers are small", async () => {
    const [rows, inputs, outputs] = [3, 32, 5];
    const x = Float32Array.from({ length: rows * inputs }, (_, i) => (i % inputs === 0 ? 127 : (i % 7) - 3));
    const weight = Int8Array.from({ length: inputs * outputs }, (_, i) => (i % 11) - 5);
    const expected = await products((a, b) => a + b)(x, weight, { rows, inputs, outputs });
    const computed = await runtimeProducts(runtime)(x, weight, { rows, inputs, outputs });
    for (const [place, value] of computed.entries()) expect(value).toBeCloseTo(expected[place], 2);
  });

  it("are timed beside those of float32", async () => {
    const speedup = await int8Speedup(tinyConfig({ hiddenSize: 32, intermediateSize: 48 }), runtime);
    expect(speedup).toBeGreaterThan(0);
    expect(speedup).toBeLessThan(100);
  });
});
