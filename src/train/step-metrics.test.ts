import { expect, it } from "vitest";
import { atlas } from "../prompts/protocol.js";
import { exactMatch } from "../rewards/answers.js";
import { isWellFormed } from "../rewards/format.js";
import type { Group, Trajectory } from "../types.js";
import { rolloutMetrics, searchMetrics, workMetrics } from "./step-metrics.js";

const thought = "<think> a </think>";

/** An attempt of one turn. */
function attempt(
  text: string,
  answer: string | null,
  logprobs_T: number[],
  tokens_T = logprobs_T.map((_, t) => t),
): Trajectory {
  return {
    questionId: "q",
    segments: [
      { role: "prompt", tokens_T: [1, 2] },
      { role: "policy", tokens_T, logprobs_T },
    ],
    searches: [],
    answer,
    finishReason: answer === null ? "malformed" : "answered",
    texts: ["Question: ?", text],
    timing: { policyMs: 0, searchMs: 0 },
  };
}

const task = {
  exactMatch,
  isWellFormed: (trajectory: Trajectory, form: { thinkRequired?: boolean }) => isWellFormed(trajectory, atlas, form),
};

const groups: Group[] = [
  {
    question: { id: "q", question: "?", answers: ["Paris"] },
    trajectories_G: [
      attempt(`${thought}<answer>Paris</answer>`, "Paris", [-0.1, -0.3]),
      attempt("<answer>Paris</answer>", "Paris", [-0.5, -0.5]),
      attempt(`${thought}<answer>Rome</answer>`, "Rome", [-2, -2, -2, -2]),
      attempt(
        "hm",
        null,
        Array.from({ length: 10 }, () => -1),
        Array.from({ length: 10 }, () => 7),
      ),
    ],
    rewards_G: [1, 1, 0, 0],
  },
];

it("measures form with and without thoughts, repetition, and how likely right attempts were", () => {
  const metrics = rolloutMetrics(groups, task);
  expect(metrics["format/wellFormed"]).toBe(0.75);
  expect(metrics["format/withThoughts"]).toBe(0.5);
  expect(metrics["tokens/repeated"]).toBe(9 / 18);
  expect(metrics["policy/correctLogprob"]).toBeCloseTo(-1.4 / 4, 12);
  expect(metrics["policy/surprise"]).toBeCloseTo(19.4 / 18, 12);
});

it("leaves out what it cannot know: form without a protocol, right attempts where there are none", () => {
  const wrong = groups.map((group) => ({ ...group, question: { ...group.question, answers: ["Oslo"] } }));
  const metrics = rolloutMetrics(wrong, { exactMatch });
  expect(Object.keys(metrics)).not.toEqual(expect.arrayContaining(["format/wellFormed"]));
  expect("policy/correctLogprob" in metrics).toBe(false);
  expect(metrics["em/train"]).toBe(0);
});

it("search engine: gives differences since the last call, and money as a total", () => {
  let counts: Record<string, number> = { requests: 10, cacheHits: 3, cacheMisses: 1, memberFailures: 0, spentUsd: 0.5 };
  const task = { searchCounts: () => counts };
  expect(searchMetrics(task)).toEqual({
    "search/requests": 10,
    "search/cacheHitRate": 0.75,
    "search/memberFailures": 0,
    "search/spentUsd": 0.5,
  });
  counts = { requests: 12, cacheHits: 3, cacheMisses: 2, memberFailures: 4, spentUsd: 0.6 };
  expect(searchMetrics(task)).toEqual({
    "search/requests": 2,
    "search/cacheHitRate": 0,
    "search/memberFailures": 4,
    "search/spentUsd": 0.6,
  });
  // Another task begins anew.
  expect(searchMetrics({ searchCounts: () => counts })["search/requests"]).toBe(12);
});

it("search engine: says nothing where nothing is counted, and no rate where nothing was looked up", () => {
  expect(searchMetrics({})).toEqual({});
  expect(searchMetrics({ searchCounts: () => ({ sharedQueries: 4 }) })).toEqual({});
  const idle = { searchCounts: () => ({ cacheHits: 2, cacheMisses: 2 }) };
  searchMetrics(idle);
  expect(searchMetrics(idle)).toEqual({});
});

it("says what share of tokens was computed, and of the time was spent outside the runtime", () => {
  const before = {
    ...{ prefillTokens: 100, reusedTokens: 10, sampledTokens: 5, trainedTokens: 7 },
    ...{ computedTokens: 40, sharedTokens: 2, sampleRuntimeMs: 1000, trainRuntimeMs: 500 },
  };
  const after = {
    ...{ ...before, prefillTokens: 160, reusedTokens: 50, computedTokens: 70, sharedTokens: 92 },
    ...{ sampleRuntimeMs: 2000, trainRuntimeMs: 1000 },
  };
  expect(workMetrics(before, after, 2)).toEqual({
    "tokens/uniqueShare": 30 / 120,
    "tokens/prefillShare": 60 / 100,
    "time/outsideRuntime": 0.25,
  });
  // A step whose groups have nothing to teach computes no gradient: no share of nothing.
  expect(workMetrics(before, before, 2)).toEqual({ "time/outsideRuntime": 1 });
});
