/** @file The presets hold what the papers' scripts say (v0.2 and v0.3), number by number. */
import { describe, expect, it } from "vitest";
import { protocolNamed } from "../../prompts/protocol.js";
import { combineRewards, rewardsFor } from "../../rewards/combine.js";
import { configDifferences, parseConfig } from "../../train/config/config.js";
import { presets } from "../presets.js";
import { searchR1Grpo, searchR1Ppo, searchR1PpoFormat } from "./recipe.js";

const [ppo, grpo, format] = [searchR1Ppo, searchR1Grpo, searchR1PpoFormat].map((recipe) => parseConfig(recipe));

describe("the papers' scripts", () => {
  it.each([
    ["search-r1-ppo", ppo],
    ["search-r1-grpo", grpo],
    ["search-r1-ppo-format", format],
  ])("%s has what all have in common", (_name, { rollout, search, optimizer, train, algorithm }) => {
    expect({ ...train, ...search, ...rollout }).toMatchObject({
      ...{ questionsPerStep: 512, steps: 1005, evalEvery: 100, epochs: 1, topK: 3, maxSearches: 4 },
      ...{ maxTokensPerTurn: 500, maxObservationTokens: 500, maxTokens: 4096, temperature: 1 },
    });
    expect(optimizer).toMatchObject({ learningRate: 1e-6, schedule: "constant", beta1: 0.9, beta2: 0.999 });
    expect(optimizer).toMatchObject({ warmupSteps: Math.floor(0.285 * 1005), weightDecay: 0.01, maxGradNorm: 1 });
    expect(algorithm).toMatchObject({ clip: 0.2, kl: 0.001, klTarget: 0, entropy: 0.001, maskRetrieved: true });
  });

  it("PPO: a critic, KL in the reward, two updates of 256 attempts", () => {
    expect(ppo.algorithm).toMatchObject({
      name: "ppo",
      groupSize: 1,
      gamma: 1,
      lambda: 1,
      klIn: "reward",
      klEstimator: "k1",
    });
    expect(ppo.critic).toMatchObject({
      learningRate: 1e-5,
      warmupSteps: Math.floor(0.015 * 1005),
      headStart: 0,
      clip: 0.5,
    });
    expect((ppo.train.questionsPerStep * ppo.algorithm.groupSize) / ppo.train.updatesPerBatch).toBe(256);
    expect(ppo.rollout.topP).toBe(1);
  });

  it("GRPO: groups of five, KL in the loss, ten updates of 256 attempts", () => {
    expect(grpo.algorithm).toMatchObject({
      name: "grpo",
      groupSize: 5,
      std: "sample",
      klIn: "loss",
      klEstimator: "k3",
    });
    expect((grpo.train.questionsPerStep * grpo.algorithm.groupSize) / grpo.train.updatesPerBatch).toBe(256);
    expect(grpo.rollout.topP).toBe(0.95);
  });

  it("the follow-up differs from PPO in its reward alone", () => {
    expect(configDifferences(ppo, format)).toEqual(["reward.weights"]);
  });
});

it.each(Object.entries(presets))("%s names rewards that exist", (_name, { config }) => {
  const { rollout, reward } = parseConfig(config);
  const protocol = protocolNamed(rollout.protocol === "auto" ? "search-r1" : rollout.protocol);
  expect(() => combineRewards(reward.weights, rewardsFor(protocol))).not.toThrow();
});
