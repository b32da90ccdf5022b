import { describe, expect, it } from "vitest";
import { freeMemory } from "./free-memory.js";

const residentMb = (): number => process.memoryUsage().rss / 2 ** 20;

describe("freeMemory", () => {
  it("gives memory back before any garbage is collected", () => {
    const arrays = Array.from({ length: 4 }, () => new Float32Array(2 ** 25).fill(1));
    const held = residentMb();
    freeMemory(arrays);
    expect(arrays.map(({ length }) => length)).toEqual([0, 0, 0, 0]);
    expect(held - residentMb()).toBeGreaterThan(4 * 128 - 100);
  });
});
