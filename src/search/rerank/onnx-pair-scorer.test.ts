import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { UserError } from "../../errors.js";
import { writeTinyBert } from "../dense/tiny-models.test-support.js";
import { openOnnxPairScorer, type OnnxPairScorerOptions } from "./onnx-pair-scorer.js";

const root = mkdtempSync(path.join(tmpdir(), "sleuth-pairs-"));
const one = await writeTinyBert(path.join(root, "one"), { labels: 1 });
/** Starting a worker takes longer than most tests: those of one kind are shared. */
const opened = new Map<string, ReturnType<typeof openOnnxPairScorer>>();

afterAll(async () => {
  for (const scorer of opened.values()) await (await scorer.catch(() => undefined))?.close();
  rmSync(root, { recursive: true, force: true });
});

function open(location: string, options: OnnxPairScorerOptions = {}): ReturnType<typeof openOnnxPairScorer> {
  const key = JSON.stringify([location, options]);
  const scorer = opened.get(key) ?? openOnnxPairScorer(location, { threads: 1, ...options });
  opened.set(key, scorer);
  return scorer;
}

const pairs = [
  { query: "capital of Peru", passage: "(Title: Peru) Lima is the capital of Peru." },
  { query: "owl", passage: "" },
  { query: "", passage: "A song of 1977." },
  { query: "capital of Peru", passage: "Owls hunt at night. ".repeat(400) },
  { query: "A song of 1977.", passage: "capital of Peru" },
];

describe("openOnnxPairScorer", () => {
  it("scores each pair as it would alone, in the caller's order", async () => {
    const scorer = await open(one);
    const scores = await scorer.score(pairs);
    expect(scores).toHaveLength(pairs.length);
    for (const [index, pair] of pairs.entries()) expect((await scorer.score([pair]))[0]).toBeCloseTo(scores[index], 5);
    expect(new Set(scores.map((score) => score.toFixed(4))).size).toBe(pairs.length);
    expect(scorer.counts?.()).toEqual({ pairsScored: 2 * pairs.length });
    expect(await scorer.score([])).toEqual([]);
  });

  it("tells query and passage apart", async () => {
    const scorer = await open(one);
    const [a, b] = await scorer.score([
      { query: "owl", passage: "the capital" },
      { query: "the capital", passage: "owl" },
    ]);
    expect(Math.abs(a - b)).toBeGreaterThan(1e-4);
  });

  it("sigmoid keeps the order", async () => {
    const [plain, squashed] = [await open(one), await open(one, { activation: "sigmoid" })];
    const logits = await plain.score(pairs);
    expect(await squashed.score(pairs)).toEqual(logits.map((logit) => 1 / (1 + Math.exp(-logit))));
    expect(squashed.name).not.toBe(plain.name);
  });

  it("of two logits the difference counts", async () => {
    const scorer = await open(await writeTinyBert(path.join(root, "two"), { labels: 2 }));
    for (const score of await scorer.score(pairs)) expect(Number.isFinite(score)).toBe(true);
  });

  it("refuses classifiers of more labels, and encoders", async () => {
    const three = await writeTinyBert(path.join(root, "three"), { labels: 3 });
    await expect(open(three)).rejects.toThrow(/3 numbers for a pair/);
    const encoder = await writeTinyBert(path.join(root, "encoder"));
    await expect(open(encoder)).rejects.toBeInstanceOf(UserError);
  });

  it("a caller who leaves gets its own reason", async () => {
    const scorer = await open(one);
    const reason = new Error("changed my mind");
    await expect(scorer.score(pairs, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });
});
