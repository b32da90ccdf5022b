import { describe, expect, it } from "vitest";
import { memoryLine, noteMemory } from "./memory-note.js";
import { Terminal } from "./terminal.js";
import type { MemoryPlan } from "../../contracts/policy.js";

const gb = 2 ** 30;

const plan: MemoryPlan = {
  limitBytes: 8 * gb,
  totalBytes: 4.2 * gb,
  parts: [
    { name: "weights", bytes: 0.5 * gb },
    { name: "activations", bytes: 3.7 * gb },
  ],
  microBatchTokens: 2048,
  plainTokens: 1024,
  recompute: false,
  cacheBytes: gb,
  prefillTokens: 4096,
};

function notesOf(over: Partial<MemoryPlan>): string {
  let text = "";
  const stderr = { write: (part: string) => (text += part) };
  noteMemory(new Terminal({ json: false, stdout: { write: () => undefined }, stderr, environment: {} }), {
    ...plan,
    ...over,
  });
  return text;
}

describe("the line about memory", () => {
  it("names the total, the limit, the largest parts first, and the sizes", () => {
    expect(memoryLine(plan)).toBe(
      "Memory: at most 4.2 GB of 8.0 GB expected (activations 3.7 GB, weights 512 MB); micro-batches of 2,048 tokens",
    );
  });

  it("says when activations are computed again", () =>
    expect(memoryLine({ ...plan, recompute: true })).toMatch(/2,048 tokens, activations computed again$/));

  it("leaves micro-batches out where nothing is trained", () =>
    expect(memoryLine({ ...plan, parts: plan.parts.slice(0, 1) })).not.toContain("micro-batches"));

  it("warns only of what exceeds the limit, and says what to change", () => {
    expect(notesOf({}).split("\n")).toHaveLength(2);
    expect(notesOf({ limitBytes: 4 * gb })).toMatch(/more than the 4\.0 GB .*train\.microBatchTokens/);
  });
});
