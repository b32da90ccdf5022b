import { expect, it } from "vitest";
import { presets } from "../recipes/presets.js";
import { faithful } from "../recipes/search-r1/faithful.js";
import { algorithmNotes } from "./contradictions.js";
import { applySets, mergeConfig, parseConfig, type ConfigInput } from "../train/config/config.js";

const notesOf = (config: ConfigInput, ...sets: string[]): string[] =>
  algorithmNotes(parseConfig(applySets(config, sets)));

it("has nothing to say about presets, names and ordinary choices", () => {
  for (const { config } of Object.values(presets)) {
    expect(notesOf(config)).toEqual([]);
    expect(notesOf(mergeConfig(config, { faithful }))).toEqual([]);
  }
  for (const name of ["dapo", "gspo", "reinforce++"]) expect(notesOf({}, `algorithm.name=${name}`)).toEqual([]);
  expect(notesOf({ algorithm: { kl: 0.001, aggregation: "sequence-mean", whiten: true, clip: 0.1 } })).toEqual([]);
});

it("tells what a preset leaves of another name", () => {
  const of = (preset: keyof typeof presets, name: string): string =>
    notesOf(presets[preset].config, `algorithm.name=${name}`).join("\n");
  expect(of("search-r1-grpo", "ppo")).toMatch(/stands for advantage=gae klIn=reward klEstimator=k1, .*advantage=group/);
  expect(of("search-r1-ppo", "grpo")).toMatch(/name=grpo stands for advantage=group, but this run has advantage=gae\./);
  expect(of("atlas", "dapo")).toMatch(/stands for clipHigh=0.28, but this run has clipHigh=0.2\./);
  expect(of("atlas", "gspo")).toMatch(
    /clip=0.0003 clipHigh=0.0004, but this run has clip=0.2 clipHigh=0.2.*algorithm.clip=auto/,
  );
  expect(of("atlas", "ppo")).toMatch(/stands for kl=0.001, but this run has kl=0\./);
  expect(notesOf({ algorithm: { name: "dr-grpo" } }, "faithful.microBatchMean=8")[0]).toMatch(
    /aggregation=micro-batch-mean.*--set faithful.microBatchMean=0\./,
  );
});

it("tells that a critic's settings find none", () => {
  const critic = { learningRate: 1e-5, clip: 0.2 };
  expect(notesOf({ critic })).toEqual([
    "critic.learningRate, critic.clip will not be used: grpo has no critic. algorithm.name=ppo has one.",
  ]);
  expect(notesOf({ critic, algorithm: { name: "ppo" } })).toEqual([]);
  expect(notesOf({ critic, algorithm: { advantage: "gae" } }).join()).not.toMatch(/will not be used/);
});
