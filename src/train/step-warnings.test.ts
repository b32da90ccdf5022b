/** @file What a step's attempts give away: each told at once, once, with the key to turn. */
import { expect, it } from "vitest";
import type { Group, SearchCall, Trajectory } from "../types.js";
import { parseConfig } from "./config/config.js";
import type { Run, TrainEvent } from "./run.js";
import { rolloutMetrics } from "./step-metrics.js";
import { warnOfStep } from "./step-warnings.js";

const passage = { id: "1", title: "T", text: "text", score: 1 };
const fine: SearchCall = { query: "q", passages: [passage], omittedPassages: 0, sanitized: 0, waitedMs: 1 };
const short: SearchCall = { ...fine, passages: [], omittedPassages: 1 };

function groupOf(searches: SearchCall[], cutTurns?: number): Group {
  const trajectory: Trajectory = {
    questionId: "q",
    segments: Array.from({ length: 4 }, () => ({ role: "policy", tokens_T: [1], logprobs_T: [-1] })),
    searches,
    answer: null,
    finishReason: "out-of-turns",
    ...(cutTurns === undefined ? {} : { cutTurns }),
    texts: ["", "", "", ""],
    timing: { policyMs: 0, searchMs: 0 },
  };
  return { question: { id: "q", question: "?", answers: ["a"] }, trajectories_G: [trajectory], rewards_G: [0] };
}

/** The warnings of steps with these groups, in one start of a run. */
function warningsOf(...steps: Group[]): string[] {
  const warnings: string[] = [];
  const emit = (event: TrainEvent): void => void (event.kind === "warning" && warnings.push(event.message));
  const config = parseConfig({ rollout: { maxObservationTokens: 160, maxTokens: 700 } });
  const run = { config, emit } as unknown as Run;
  for (const [index, group] of steps.entries()) {
    warnOfStep(run, index + 1, group.trajectories_G);
  }
  return warnings;
}

it("measures turns that were cut, and the share of passages that were left out", () => {
  const metrics = rolloutMetrics([groupOf([fine, fine, fine, short], 3)], { exactMatch: () => 0 });
  expect(metrics["turns/cut"]).toBe(3 / 4);
  expect(metrics["passages/omittedShare"]).toBe(1 / 4);
  const none = rolloutMetrics([groupOf([])], { exactMatch: () => 0 });
  expect(none).toMatchObject({ "turns/cut": 0, "passages/omittedShare": 0 });
});

it("names rollout.maxTokensPerTurn where turns are cut, once", () => {
  const cut = groupOf([fine], 4);
  expect(warningsOf(groupOf([fine], 0))).toEqual([]);
  expect(warningsOf(cut, cut)).toEqual([
    expect.stringMatching(/^100 % of the turns of step 1 were cut at rollout.maxTokensPerTurn=64 tokens/),
  ]);
});

it("names the budget that passages did not fit: the observation's, or the row's", () => {
  const mostly = Array.from({ length: 49 }, () => fine);
  expect(warningsOf(groupOf([...mostly, fine, short]))).toEqual([]);
  expect(warningsOf(groupOf([...mostly, short, short]))).toEqual([
    expect.stringMatching(/^4 % of the passages found in step 1 .* Raise rollout.maxObservationTokens \(now 160\)/),
  ]);
  expect(warningsOf(groupOf([fine, { ...short, rowWasFull: true }]))[0]).toMatch(/Raise rollout.maxTokens \(now 700\)/);
});

it("tells of searches that failed at every step", () => {
  const failed = groupOf([{ ...short, omittedPassages: 0, error: "down: refused" }]);
  expect(warningsOf(failed, failed)).toEqual(
    [1, 2].map((step) => expect.stringContaining(`step ${step} failed (down`)),
  );
});
