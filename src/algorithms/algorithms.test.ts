/** @file GRPO and REINFORCE from groups to data. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { tokenRoles } from "./datum.js";
import type { FinishReason, Group, Segment, Trajectory } from "../types.js";
import { lossTokens } from "./aggregate.js";
import { grpo } from "./grpo.js";
import { reinforce } from "./reinforce.js";

/** Prompt of two tokens, then policy and environment in turns of the given lengths. */
function trajectoryOf(lengths: number[], finishReason: FinishReason = "answered"): Trajectory {
  const segments: Segment[] = [{ role: "prompt", tokens_T: [1, 2] }];
  lengths.forEach((length, index) => {
    const tokens_T = Array.from({ length }, (_, t) => 10 * index + t);
    const isPolicy = index % 2 === 0;
    segments.push(
      isPolicy
        ? { role: "policy", tokens_T, logprobs_T: tokens_T.map((_, t) => -0.1 * (t + 1)) }
        : { role: "environment", tokens_T },
    );
  });
  return {
    questionId: "q",
    segments,
    searches: [],
    answer: null,
    finishReason,
    texts: segments.map(() => ""),
    timing: { policyMs: 0, searchMs: 0 },
  };
}

function groupOf(rewards_G: number[], trajectories_G = rewards_G.map(() => trajectoryOf([3, 4, 2]))): Group {
  return { question: { id: "q", question: "?", answers: ["x"] }, trajectories_G, rewards_G };
}

describe("grpo", () => {
  it("gives every policy token the final reward's advantage, before a search and after, and others none", () => {
    const group = groupOf([1, 0, 0, 0, 0]);
    const { data_D, loss, shares_D, stats } = grpo().makeData([group], {});
    expect(loss).toEqual({ kind: "ppo", clipLow: 0.2, clipHigh: 0.2 });
    data_D.forEach((datum, row) => {
      const advantage = row === 0 ? 1.78885 : -0.44721;
      tokenRoles(group.trajectories_G[row]).forEach((role, t) => {
        expect(datum.sampledMask_T[t]).toBe(role === "policy" ? 1 : 0);
        expect(datum.advantages_T![t]).toBeCloseTo(role === "policy" ? advantage / 25 : 0, 5);
      });
    });
    expect(shares_D).toEqual(Array(5).fill(1 / 25));
    expect(stats).toMatchObject({ groups: 1, zeroVarianceGroups: 0, trajectories: 5, lossTokens: 25, tokens: 55 });
    expect(stats.meanReward).toBeCloseTo(0.2, 12);
  });

  it("leaves out groups without variance and counts them, unless KL needs them", () => {
    const groups = [groupOf([1, 1]), groupOf([1, 0]), groupOf([0])];
    const without = grpo().makeData(groups, {});
    expect(without.data_D).toHaveLength(2);
    expect(without.stats.zeroVarianceGroups).toBe(2);
    expect(without.stats.explanations).toHaveLength(2);
    const withReference = grpo({ klCoefficient: 0.001 }).makeData(groups, {});
    expect(withReference.data_D).toHaveLength(5);
    expect(withReference.data_D[0].advantages_T!.every((advantage) => advantage === 0)).toBe(true);
    expect(withReference.stats.zeroVarianceGroups).toBe(2);
  });

  it("neither compares nor trains on what was not the policy's doing", () => {
    const trajectories = [trajectoryOf([3]), trajectoryOf([3]), trajectoryOf([3], "cancelled"), trajectoryOf([3], "search-failed")]; // prettier-ignore
    const { data_D, stats } = grpo().makeData([groupOf([1, 0, 0, 0], trajectories)], {});
    expect(data_D).toHaveLength(2);
    expect(data_D[0].advantages_T![2]).toBeCloseTo(-data_D[1].advantages_T![2], 6);
    expect(stats).toMatchObject({ excludedTrajectories: 2, trajectories: 4, meanReward: 0.5 });
  });

  it("offers the paper's mean over sequences and Dr. GRPO's constant", () => {
    const group = groupOf([1, 0], [trajectoryOf([1]), trajectoryOf([4])]);
    expect(grpo({ aggregation: "sequence-mean" }).makeData([group], {}).shares_D).toEqual([1 / 2, 1 / 8]);
    const drGrpo = grpo({ std: "none", aggregation: "constant", constantTokens: 8 }).makeData([group], {});
    expect([...drGrpo.data_D[0].advantages_T!]).toEqual([0, 0, Math.fround(0.5 / 16)]);
  });

  it("without the mask, environment tokens carry the loss too and lack log-probabilities", () => {
    const made = grpo({ maskRetrieved: false }).makeData([groupOf([1, 0])], {});
    expect(made.lacksLogprobs).toBe(true);
    expect(made.data_D.map(lossTokens)).toEqual([9, 9]);
    expect(made.data_D[0].advantages_T!.slice(2).every((advantage) => advantage > 0)).toBe(true);
    expect(grpo().makeData([groupOf([1, 0])], {}).lacksLogprobs).toBe(false);
  });

  it("refuses groups whose rewards do not pair", () => {
    const group = { ...groupOf([1, 0]), rewards_G: [1] };
    expect(() => grpo().makeData([group], {})).toThrow(/internal: question q has 2 trajectories and 1 rewards/);
    expect(grpo().makeData([], {}).data_D).toEqual([]);
  });

  it("masks partition tokens and advantages of a group cancel, whatever the shapes (property)", () => {
    const member = fc.record({
      lengths: fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 5 }),
      reward: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    fc.assert(
      fc.property(fc.array(fc.array(member, { minLength: 2, maxLength: 5 }), { maxLength: 3 }), (members) => {
        const groups = members.map(
          (group) =>
          groupOf(group.map(({ reward }) => reward), group.map(({ lengths }) => trajectoryOf(lengths))), // prettier-ignore
        );
        const made = grpo({ aggregation: "token-mean", klCoefficient: 1 }).makeData(groups, {});
        const roles = groups.flatMap(({ trajectories_G }) => trajectories_G.map(tokenRoles));
        let row = 0;
        for (const { trajectories_G } of groups) {
          let sum = 0;
          for (let i = 0; i < trajectories_G.length; i++, row++) {
            const datum = made.data_D[row];
            expect([...datum.sampledMask_T].map(Boolean)).toEqual(roles[row].map((role) => role === "policy"));
            sum += datum.advantages_T![2] / made.shares_D[row];
          }
          expect(Math.abs(sum)).toBeLessThan(1e-4);
        }
        expect(made.stats.lossTokens).toBe(roles.flat().filter((role) => role === "policy").length);
      }),
    );
  });
});

describe("reinforce", () => {
  it("takes rewards minus the running mean, groups of one included", () => {
    const algorithm = reinforce({ decay: 0.5 });
    const first = algorithm.makeData([groupOf([1]), groupOf([0])], algorithm.initialState());
    expect(first.data_D.map(({ advantages_T }) => advantages_T![2])).toEqual([Math.fround(1 / 10), 0]);
    expect(first.state).toEqual({ baseline: 0.5 });
    expect(first.loss).toEqual({ kind: "importance_sampling" });
    const second = algorithm.makeData([groupOf([0])], first.state);
    expect(second.data_D[0].advantages_T![2]).toBeCloseTo(-0.5 / 5, 6);
    expect(second.state).toEqual({ baseline: 0.25 });
  });
});
