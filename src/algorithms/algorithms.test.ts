/** @file Named algorithms from groups to data. */
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Group } from "../types.js";
import { lossTokens } from "./aggregate.js";
import {
  advantageRows,
  groupOf,
  tokenRoles,
  trajectoryOf,
  trajectoryOfShape,
  withEvidence,
} from "./batches.test-support.js";
import type { Choices } from "./choices.js";
import { type AlgorithmName, algorithmNames, choicesOf } from "./named.js";
import { makeAlgorithm } from "./make.js";
import { isEngineLoss } from "./losses.js";

/** From groups to data. */
function make(name: AlgorithmName, groups: readonly Group[], overrides: Partial<Choices> = {}) {
  const algorithm = makeAlgorithm(name, overrides);
  const state = algorithm.initialState();
  const advantages = algorithm.advantages(withEvidence(algorithm, algorithm.rows(groups)), state);
  return { ...advantages, ...algorithm.makeData(advantages.rows, advantages.state) };
}

describe("every algorithm", () => {
  /** Positions of the policy's tokens, before and after the searches. */
  const shapes = ["ppwwoowwoow", "ppwooow", "pwwww"];

  it.each(algorithmNames)("%s gives tokens before a search the final reward", (name) => {
    // Two questions, so that whitening and baselines have something to compare with. The critic knows nothing.
    const groups = [0, 1].map(() =>
      groupOf(
        [1, 0, 0],
        shapes.map((shape) => trajectoryOfShape(shape)),
      ),
    );
    for (const observationsInAdvantage of [false, true]) {
      const algorithm = makeAlgorithm(name, { observationsInAdvantage, kl: 0 });
      const batch = algorithm.rows(groups);
      const rows = batch.rows.map((row) => ({ ...row, values_T: new Float32Array(row.tokens_T.length).fill(0.3) }));
      const judged = algorithm.advantages({ ...batch, rows }, { baseline: 0.5 }).rows;
      judged.forEach(({ advantages_T, reward, trajectory }) => {
        tokenRoles(trajectory).forEach((role, t) => {
          const expected = role === "policy" ? Math.sign(reward - 0.5) : 0;
          if (role === "policy" || (role === "environment" && !observationsInAdvantage)) {
            expect(Math.sign(advantages_T[t]), `${role} token ${t} of reward ${reward}`).toBe(expected);
          }
          if (role === "prompt") expect(advantages_T[t]).toBe(0);
        });
      });
    }
  });

  it.each(["reinforce++", "ppo"] as const)("%s on the mask 110011: the reward passes over the observation", (name) => {
    const group = groupOf([1], [trajectoryOfShape("pwwooww")]);
    const algorithm = makeAlgorithm(name, { kl: 0, whiten: false });
    const batch = algorithm.rows([group]);
    const rows = batch.rows.map((row) => ({ ...row, values_T: new Float32Array(7) }));
    const [{ advantages_T }] = algorithm.advantages({ ...batch, rows }, {}).rows;
    // Multiplying the running return by the mask instead gives [0, 0, 0, 0, 0, 1, 1].
    expect([...advantages_T]).toEqual([0, 1, 1, 0, 0, 1, 1]);
    const discounted = makeAlgorithm(name, { kl: 0, whiten: false, gamma: 0.5 });
    const [row] = discounted.advantages({ ...batch, rows }, {}).rows;
    expect([...row.advantages_T]).toEqual([0, 0.125, 0.25, 0, 0, 0.5, 1]);
  });

  it.each(algorithmNames)("%s trains on exactly the policy's tokens", (name) => {
    const groups = [groupOf([1, 0.5]), groupOf([0.5, 1])];
    const { data_D, lossTokens: tokens } = make(name, groups);
    expect(data_D).toHaveLength(4);
    data_D.forEach(({ sampledMask_T, advantages_T }) => {
      expect([...sampledMask_T]).toEqual([0, 0, 1, 1, 1, 0, 0, 0, 0, 1, 1]);
      sampledMask_T.forEach((bit, t) => expect(advantages_T![t] !== 0).toBe(bit === 1));
    });
    expect(tokens).toBe(4 * 5);
  });

  it.each(algorithmNames)("%s computes a step in one pass unless its loss is only known here", (name) => {
    const algorithm = makeAlgorithm(name);
    const { loss, kl } = algorithm.objective(algorithm.initialState());
    expect(kl).toBeUndefined();
    expect(isEngineLoss(loss)).toBe(name !== "gspo");
    const inReward = name === "ppo" || name === "reinforce++";
    expect(algorithm.needs).toEqual({ reference: inReward, values: name === "ppo", currentLogprobs: false });
  });

  it("does not depend on the order of its rows, and every token has its share (property)", () => {
    const member = fc.record({
      lengths: fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 5 }),
      reward: fc.constantFrom(0, 0.5, 1),
    });
    const batches = fc.array(fc.array(member, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(batches, fc.constantFrom(...algorithmNames), (members, name) => {
        const groups = members.map((group) =>
          groupOf(
            group.map(({ reward }) => reward),
            group.map(({ lengths }) => trajectoryOf(lengths)),
          ),
        );
        const algorithm = makeAlgorithm(name);
        const rows = advantageRows(algorithm, groups);
        const forwards = algorithm.makeData(rows, {});
        const backwards = algorithm.makeData([...rows].reverse(), {});
        const advantages_D_T = forwards.data_D.map(({ advantages_T }) => advantages_T ?? []);
        // Token means add up in another order: the last bits of a share may differ.
        backwards.data_D.reverse().forEach(({ advantages_T }, d) => {
          advantages_T?.forEach((value, t) => expect(value).toBeCloseTo(advantages_D_T[d][t], 6));
        });
        const shares = forwards.data_D.reduce((sum, datum, d) => sum + forwards.shares_D[d] * lossTokens(datum), 0);
        if (forwards.data_D.length > 0 && name !== "dr-grpo") expect(shares).toBeCloseTo(1, 6);
        expect(forwards.lossTokens).toBe(forwards.data_D.map(lossTokens).reduce((sum, count) => sum + count, 0));
      }),
    );
  });

  it("can be chosen differently, and leaves undefined choices alone", () => {
    expect(makeAlgorithm("grpo", { clipHigh: 0.4, loss: undefined }).objective({}).loss).toEqual({
      kind: "ppo",
      clipLow: 0.2,
      clipHigh: 0.4,
    });
    expect(makeAlgorithm("grpo", { dualClip: 3 }).objective({}).loss.kind).toBe("dual-clip");
    expect(makeAlgorithm("grpo", { loss: "importance-sampling" }).objective({}).loss.kind).toBe("importance_sampling");
    expect(() => makeAlgorithm("grpo", { dualClip: 0.5 })).toThrow(/algorithm.dualClip is 0.5/);
    expect(() => makeAlgorithm("cispo", { dualClip: 3 })).toThrow(/goes with algorithm.loss=ppo/);
    expect(() => makeAlgorithm("grpo", { klTarget: 0.1 })).toThrow(/0 stays 0/);
    expect(() => makeAlgorithm("dr-grpo", { constantTokens: 0 })).toThrow(/internal/);
    expect(() => makeAlgorithm("grpo", { aggregation: "micro-batch-mean", microBatchRows: 0 })).toThrow(/internal/);
  });

  it("chooses what its page says", () => {
    const page = readFileSync(new URL("../../docs/algorithms.md", import.meta.url), "utf8");
    const written = (cell: string): string[] => /^`(.*)`$/.exec(cell.trim())?.[1].split(" ") ?? [];
    const rows = new Map(
      [...page.slice(0, page.indexOf("## Which tokens")).matchAll(/^\| `([^`]+)` +\|([^|]*)\|/gm)].map(
        ([, name, cell]) => [name, written(cell)],
      ),
    );
    const keys = Object.keys(choicesOf("grpo")) as (keyof Choices)[];
    for (const name of algorithmNames) {
      const chosen = choicesOf(name);
      const differing = keys.filter((key) => chosen[key] !== choicesOf("grpo")[key]);
      // A configuration calls the lower clip just clip.
      const expected = differing.map((key) => `${key === "clipLow" ? "clip" : key}=${chosen[key]}`);
      expect(rows.get(name)?.sort(), name).toEqual(expected.sort());
    }
    const standard = /Its choices: `([^`]+)`,\s*and where they matter `([^`]+)`/.exec(page);
    const listed = `${standard?.[1]} ${standard?.[2]}`.split(" ");
    expect(listed).toHaveLength(17);
    for (const pair of listed) {
      const [key, value] = pair.split("=");
      expect(String(choicesOf("grpo")[(key === "clip" ? "clipLow" : key) as keyof Choices]), key).toBe(value);
    }
  });
});

describe("grpo", () => {
  it("gives every policy token the final reward's advantage, before a search and after, and others none", () => {
    const group = groupOf([1, 0, 0, 0, 0]);
    const { data_D, shares_D, stats, lossTokens: trained, tokens } = make("grpo", [group]);
    data_D.forEach((datum, row) => {
      const advantage = row === 0 ? 1.78885 : -0.44721;
      tokenRoles(group.trajectories_G[row]).forEach((role, t) => {
        expect(datum.sampledMask_T[t]).toBe(role === "policy" ? 1 : 0);
        expect(datum.advantages_T![t]).toBeCloseTo(role === "policy" ? advantage / 25 : 0, 5);
      });
    });
    expect(shares_D).toEqual(Array(5).fill(1 / 25));
    expect([trained, tokens]).toEqual([25, 55]);
    expect(stats).toMatchObject({ groups: 1, zeroVarianceGroups: 0, trajectories: 5, excludedTrajectories: 0 });
    expect(stats.meanReward).toBeCloseTo(0.2, 12);
    expect(stats.meanAbsoluteAdvantage).toBeCloseTo((1.78885 + 4 * 0.44721) / 5, 4);
  });

  it("leaves out groups without variance and counts them, unless KL or entropy need them", () => {
    const groups = [groupOf([1, 1]), groupOf([1, 0]), groupOf([0])];
    const without = make("grpo", groups);
    expect(without.data_D).toHaveLength(2);
    expect(without.stats.zeroVarianceGroups).toBe(2);
    expect(without.stats.explanations).toHaveLength(2);
    expect(without.rows.map(({ zeroVariance }) => zeroVariance)).toEqual([true, true, false, false, true]);
    const withReference = make("grpo", groups, { kl: 0.001 });
    expect(withReference.data_D).toHaveLength(5);
    expect(withReference.referenceLogprobs_D_T).toHaveLength(5);
    expect(withReference.data_D[0].advantages_T!.every((advantage) => advantage === 0)).toBe(true);
    expect(withReference.stats.zeroVarianceGroups).toBe(2);
    expect(make("grpo", groups, { entropy: 0.01 }).data_D).toHaveLength(5);
  });

  it("neither compares nor trains on what was not the policy's doing", () => {
    const trajectories = [trajectoryOf([3]), trajectoryOf([3]), trajectoryOf([3], "cancelled"), trajectoryOf([3], "search-failed")]; // prettier-ignore
    const { data_D, stats } = make("grpo", [groupOf([1, 0, 0, 0], trajectories)]);
    expect(data_D).toHaveLength(2);
    expect(data_D[0].advantages_T![2]).toBeCloseTo(-data_D[1].advantages_T![2], 6);
    expect(stats).toMatchObject({ excludedTrajectories: 2, trajectories: 4, meanReward: 0.5 });
  });

  it("offers the paper's mean over sequences and Dr. GRPO's constant", () => {
    const group = groupOf([1, 0], [trajectoryOf([1]), trajectoryOf([4])]);
    expect(make("grpo", [group], { aggregation: "sequence-mean" }).shares_D).toEqual([1 / 2, 1 / 8]);
    const drGrpo = make("dr-grpo", [group], { constantTokens: 8 });
    expect([...drGrpo.data_D[0].advantages_T!]).toEqual([0, 0, Math.fround(0.5 / 16)]);
  });

  it("aggregates over exactly the rows of an update", () => {
    const algorithm = makeAlgorithm("grpo");
    const rows = advantageRows(algorithm, [groupOf([1, 0]), groupOf([1, 0])]);
    expect(algorithm.makeData(rows, {}).shares_D).toEqual(Array(4).fill(1 / 20));
    expect(algorithm.makeData(rows.slice(0, 2), {}).shares_D).toEqual(Array(2).fill(1 / 10));
    expect(algorithm.makeData([], {}).data_D).toEqual([]);
  });

  it("without the mask, environment tokens carry the loss too and wait for the trainer's log-probabilities", () => {
    const algorithm = makeAlgorithm("grpo", { maskRetrieved: false });
    expect(algorithm.needs.currentLogprobs).toBe(true);
    const batch = algorithm.rows([groupOf([1, 0])]);
    expect(batch.rows[0].logprobs_T.slice(5, 9).every(Number.isNaN)).toBe(true);
    const current = batch.rows.map(({ tokens_T }) => new Float32Array(tokens_T.length).fill(-2));
    const rows = algorithm.withCurrentLogprobs(batch.rows, current);
    expect([...rows[0].logprobs_T.slice(5, 9)]).toEqual([-2, -2, -2, -2]);
    expect(rows[0].logprobs_T[2]).toBeCloseTo(-0.1, 6);
    const { data_D } = algorithm.makeData(algorithm.advantages({ ...batch, rows }, {}).rows, {});
    expect(data_D.map(lossTokens)).toEqual([9, 9]);
    expect(data_D[0].advantages_T!.slice(2).every((advantage) => advantage > 0)).toBe(true);
  });

  it("gives the first token of a row nothing: nobody predicted it", () => {
    const batch = makeAlgorithm("grpo").rows([groupOf([1, 0], [trajectoryOfShape("www"), trajectoryOfShape("www")])]);
    expect([...batch.rows[0].advantageMask_T]).toEqual([0, 1, 1]);
    const { rows, stats } = makeAlgorithm("grpo").advantages(batch, {});
    expect(rows[0].advantages_T[0]).toBe(0);
    expect(stats.meanAbsoluteAdvantage).toBeCloseTo(rows[0].advantages_T[1], 6);
    expect(makeAlgorithm("grpo").makeData(rows, {}).lossTokens).toBe(4);
  });

  it("compares questions of different datasets whose ids end alike where the original did", () => {
    const groups = [groupOf([1], undefined, "nq_12"), groupOf([0], undefined, "hotpot_12"), groupOf([1], undefined, "x")]; // prettier-ignore
    const faithful = makeAlgorithm("grpo", { groupByIndex: true });
    const rows = advantageRows(faithful, groups);
    expect(rows.map(({ group }) => group)).toEqual([12, 12, 0]);
    expect(rows.map(({ zeroVariance }) => zeroVariance)).toEqual([false, false, true]);
    expect(advantageRows(makeAlgorithm("grpo"), groups).every(({ zeroVariance }) => zeroVariance)).toBe(true);
  });

  it("a group of one keeps its reward where the original did", () => {
    const { data_D, stats } = make("grpo", [groupOf([1]), groupOf([0])], { groupOfOne: "raw" });
    expect(data_D.map(({ advantages_T }) => advantages_T![2])).toEqual([Math.fround(1 / 10), 0]);
    expect(stats).toMatchObject({ zeroVarianceGroups: 0, explanations: [] });
  });

  it("refuses groups whose rewards do not pair, and rows without what it needs", () => {
    const group = { ...groupOf([1, 0]), rewards_G: [1] };
    expect(() => makeAlgorithm("grpo").rows([group])).toThrow(/internal: question q has 2 trajectories and 1 rewards/);
    const batch = makeAlgorithm("grpo").rows([groupOf([1, 0])]);
    expect(() => makeAlgorithm("grpo", { kl: 0.1 }).advantages(batch, {})).toThrow(/no reference log-probabilities/);
    expect(() => makeAlgorithm("ppo", { kl: 0 }).advantages(batch, {})).toThrow(/no values/);
    expect(() => makeAlgorithm("grpo").withCurrentLogprobs(batch.rows, [])).toThrow(/internal/);
    expect(make("grpo", []).data_D).toEqual([]);
  });

  it("masks partition tokens and advantages of a group cancel, whatever the shapes (property)", () => {
    const member = fc.record({
      lengths: fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 5 }),
      reward: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    const names = fc.constantFrom("grpo" as const, "rloo" as const, "dr-grpo" as const);
    fc.assert(
      fc.property(fc.array(fc.array(member, { minLength: 2, maxLength: 5 }), { maxLength: 3 }), names, (members, name) => {
        const groups = members.map(
          (group) =>
          groupOf(group.map(({ reward }) => reward), group.map(({ lengths }) => trajectoryOf(lengths))), // prettier-ignore
        );
        const rows = advantageRows(makeAlgorithm(name), groups);
        const roles = groups.flatMap(({ trajectories_G }) => trajectories_G.map(tokenRoles));
        let row = 0;
        for (const { trajectories_G } of groups) {
          let sum = 0;
          for (let i = 0; i < trajectories_G.length; i++, row++) {
            expect([...rows[row].sampledMask_T].map(Boolean)).toEqual(roles[row].map((role) => role === "policy"));
            expect(rows[row].advantageMask_T).toEqual(rows[row].sampledMask_T);
            sum += rows[row].advantages_T[2];
          }
          expect(Math.abs(sum)).toBeLessThan(1e-4);
        }
      }), // prettier-ignore
    );
  });
});

describe("dapo", () => {
  it("compares trajectories that ran out of tokens, but leaves them out of the loss", () => {
    const trajectories = [trajectoryOf([3]), trajectoryOf([3]), trajectoryOf([9], "out-of-tokens")];
    const { rows, data_D, shares_D, stats } = make("dapo", [groupOf([1, 0, 0], trajectories)]);
    expect(rows).toHaveLength(3);
    expect(rows[0].advantages_T[2]).toBeCloseTo(1.1547, 4);
    expect(data_D).toHaveLength(2);
    expect(shares_D).toEqual([1 / 6, 1 / 6]);
    expect(stats.meanReward).toBeCloseTo(1 / 3, 12);
    expect(make("dapo", [groupOf([1, 0, 0], trajectories)], { overlong: "train" }).data_D).toHaveLength(3);
  });
});

describe("reinforce", () => {
  it("takes rewards minus the running mean, groups of one included", () => {
    const algorithm = makeAlgorithm("reinforce", { baselineDecay: 0.5 });
    const first = algorithm.advantages(algorithm.rows([groupOf([1]), groupOf([0])]), algorithm.initialState());
    const data = algorithm.makeData(first.rows, first.state).data_D;
    expect(data.map(({ advantages_T }) => advantages_T![2])).toEqual([Math.fround(1 / 10), 0]);
    expect(first.state).toEqual({ baseline: 0.5 });
    const second = algorithm.advantages(algorithm.rows([groupOf([0])]), first.state);
    expect(second.rows[0].advantages_T[2]).toBe(-0.5);
    expect(second.state).toEqual({ baseline: 0.25 });
  });
});

describe("a batch without a signal", () => {
  it("has no data, whatever makes its advantages 0", () => {
    const wrong = [groupOf([0, 0]), groupOf([0, 0])];
    expect(make("reinforce", wrong)).toMatchObject({ data_D: [], shares_D: [], lossTokens: 0, tokens: 0 });
    expect(make("grpo", [groupOf([0])], { groupOfOne: "raw" }).data_D).toEqual([]);
    expect(make("reinforce++-baseline", [groupOf([0.1, 0.1, 0.1])]).data_D).toEqual([]);
    expect(make("reinforce++", [groupOf([0.1, 0.1, 0.1])], { kl: 0 }).data_D).toEqual([]);
    // What holds for all tokens is a signal, and one right attempt is.
    expect(make("reinforce", wrong, { entropy: 0.01 }).data_D).toHaveLength(4);
    expect(make("reinforce", [groupOf([0, 1])]).data_D).toHaveLength(2);
  });
});

describe("ppo", () => {
  it("says what the critic should have said, and how much it knew", () => {
    const algorithm = makeAlgorithm("ppo", { kl: 0 });
    const batch = algorithm.rows([groupOf([1]), groupOf([0])]);
    const judge = (values: [number, number]) => {
      const rows = batch.rows.map((row, d) => ({ ...row, values_T: new Float32Array(11).fill(values[d]) }));
      return algorithm.advantages({ ...batch, rows }, {});
    };
    const { rows, stats } = judge([0.5, 0.5]);
    expect([...rows[0].returns_T!]).toEqual([0, 0, 1, 1, 1, 0, 0, 0, 0, 1, 1]);
    expect(stats.explainedVariance).toBeCloseTo(0, 12);
    expect(judge([1, 0]).stats.explainedVariance).toBeCloseTo(1, 12);
    expect(judge([0, 1]).stats.explainedVariance).toBeCloseTo(-3, 12);
    // Returns that do not vary leave nothing to explain.
    const flat = algorithm.rows([groupOf([1]), groupOf([1])]);
    const flatRows = flat.rows.map((row) => ({ ...row, values_T: new Float32Array(11) }));
    expect(algorithm.advantages({ ...flat, rows: flatRows }, {}).stats.explainedVariance).toBeUndefined();
  });

  it("takes the KL from the reward at the policy's tokens and reports it", () => {
    const algorithm = makeAlgorithm("ppo", { kl: 0.5, whiten: false, observationsInAdvantage: true });
    const batch = algorithm.rows([groupOf([1], [trajectoryOfShape("pwwoow")])]);
    const rows = batch.rows.map((row) => ({
      ...row,
      values_T: new Float32Array(6),
      referenceLogprobs_T: row.logprobs_T.map((logprob) => logprob - 0.2),
    }));
    const { rows: judged, stats } = algorithm.advantages({ ...batch, rows }, {});
    [0, 0.7, 0.8, 0.9, 0.9, 0.9].forEach((value, t) => expect(judged[0].advantages_T[t]).toBeCloseTo(value, 6));
    expect(stats.rewardKl).toBeCloseTo(0.2, 6);
  });
});

describe("log-probabilities of the trainer", () => {
  const groups = [groupOf([1, 0], [trajectoryOf([2]), trajectoryOf([2])])];
  const current = [Float32Array.of(0, 0, -0.1 + Math.log(2), -0.2 - Math.log(2)), Float32Array.of(0, 0, -0.1, -0.2)];

  it("become the denominators of ratios", () => {
    const algorithm = makeAlgorithm("grpo", { trainerRatios: true });
    expect(algorithm.needs.currentLogprobs).toBe(true);
    const [row] = algorithm.withCurrentLogprobs(algorithm.rows(groups).rows, current);
    expect(row.logprobs_T).toEqual(current[0]);
    expect(row.correction_T).toBeUndefined();
  });

  it("correct for a sampler that differs, at most so much", () => {
    const algorithm = makeAlgorithm("grpo", { truncatedRatio: 1.5 });
    expect(algorithm.needs.currentLogprobs).toBe(true);
    const batch = algorithm.rows(groups);
    const rows = algorithm.withCurrentLogprobs(batch.rows, current);
    expect(rows[0].logprobs_T).toEqual(current[0]);
    [1, 1, 1.5, 0.5].forEach((ratio, t) => expect(rows[0].correction_T![t]).toBeCloseTo(ratio, 5));
    const judged = algorithm.advantages({ ...batch, rows }, {}).rows;
    const { data_D } = algorithm.makeData(judged, {});
    expect(data_D[0].advantages_T![2] / data_D[0].advantages_T![3]).toBeCloseTo(3, 5);
    expect(judged[0].advantages_T[2]).toBe(judged[0].advantages_T[3]);
  });

  it("correct nothing where nothing was sampled", () => {
    const algorithm = makeAlgorithm("grpo", { truncatedRatio: 1.5, maskRetrieved: false });
    const batch = algorithm.rows([groupOf([1, 0], [trajectoryOfShape("pwo"), trajectoryOfShape("pwo")])]);
    const trainer = batch.rows.map(() => Float32Array.of(0, -0.1, -2));
    const [row] = algorithm.withCurrentLogprobs(batch.rows, trainer);
    expect(row.logprobs_T).toEqual(trainer[0]);
    expect(row.correction_T).toEqual(Float32Array.of(1, 1, 1));
  });
});

describe("β", () => {
  it("moves with the controller, in the loss and in the reward, and stays otherwise", () => {
    const steered = makeAlgorithm("grpo", { kl: 0.1, klTarget: 0.05, klHorizon: 100 });
    const start = steered.initialState();
    expect(start).toEqual({ klCoefficient: 0.1 });
    const next = steered.afterBatch(start, { kl: 1, trajectories: 50 });
    expect(next.klCoefficient).toBeCloseTo(0.11, 12);
    expect(steered.objective(next).kl).toEqual({ coefficient: next.klCoefficient, estimator: "k3" });
    const fixed = makeAlgorithm("grpo", { kl: 0.1 });
    expect(fixed.initialState()).toEqual({});
    expect(fixed.afterBatch({ baseline: 1 }, { kl: 1, trajectories: 50 })).toEqual({ baseline: 1 });
    expect(fixed.objective({}).kl?.coefficient).toBe(0.1);

    const inReward = makeAlgorithm("ppo", { kl: 0.1, klTarget: 0.05, whiten: false });
    expect(inReward.objective({}).kl).toBeUndefined();
    const batch = withEvidence(inReward, inReward.rows([groupOf([1])]));
    const rewardOf = (klCoefficient: number): number =>
      inReward.advantages(batch, { klCoefficient }).rows[0].returns_T![2];
    expect(1 - rewardOf(0.2)).toBeCloseTo(2 * (1 - rewardOf(0.1)), 5);
  });
});

describe("entropy", () => {
  it("stands on the tokens that carry loss, with their share", () => {
    const { data_D } = make("ppo", [groupOf([1, 0])], { entropy: 0.01 });
    const expected = [0, 0, 1, 1, 1, 0, 0, 0, 0, 1, 1].map((bit) => Math.fround((bit * 0.01) / 10));
    expect([...data_D[0].entropyWeights_T!]).toEqual(expected);
    expect(make("ppo", [groupOf([1, 0])]).data_D[0].entropyWeights_T).toBeUndefined();
  });
});
