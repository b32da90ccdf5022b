/** @file Choices and settings that make no sense together are refused before anything is opened; those that may not be meant get a note. */
import { z } from "zod";
import { UserError } from "../errors.js";
import type { Choices } from "./choices.js";
import { choicesOf } from "./named.js";
import { criticFields, overridesOf, type AlgorithmConfig } from "./settings.js";

/**
 * Refuses choices that are each valid but make no sense together.
 * @throws UserError naming their keys in a configuration
 */
export function refuseContradictoryChoices(choices: Choices): void {
  const { dualClip, klTarget, kl, constantTokens, microBatchRows, aggregation } = choices;
  if (dualClip > 0 && (choices.loss !== "ppo" || dualClip <= 1)) {
    throw new UserError(
      `algorithm.dualClip is ${dualClip} with the loss ${choices.loss}: it bounds PPO's loss of tokens with negative advantage at so many ` +
        "times their size, so it goes with algorithm.loss=ppo and is above 1 (3 in its paper). 0 switches it off.",
    );
  }
  if (klTarget > 0 && kl === 0) {
    throw new UserError(
      `algorithm.klTarget is ${klTarget}, but algorithm.kl is 0: the controller multiplies β, and 0 stays 0. ` +
        "Set algorithm.kl to where β should begin, for example 0.001, or drop klTarget.",
    );
  }
  if (aggregation === "constant" && !(constantTokens > 0)) {
    throw new Error(`internal: aggregation constant divides by ${constantTokens} tokens`);
  }
  if (aggregation === "micro-batch-mean" && !(Number.isInteger(microBatchRows) && microBatchRows > 0)) {
    throw new Error(`internal: micro-batches of ${microBatchRows} rows`);
  }
}

type Key = keyof AlgorithmConfig["algorithm"];

/** What a configuration chooses, by the keys of its group. */
type Chosen = Pick<Choices, "advantage" | "baseline" | "loss" | "kl"> & { microBatchMean: number };

/** Keys that only some choices look at: which, and what would have to be chosen. */
const effects: [keys: [key: Key, choice: keyof Choices][], isUsed: (chosen: Chosen) => boolean, goesWith: string][] = [
  [[["std", "std"]], ({ advantage }) => advantage === "group", "algorithm.advantage=group"],
  [
    [["baseline", "baseline"]],
    ({ advantage }) => advantage === "reinforce" || advantage === "reinforce++",
    "algorithm.advantage=reinforce or reinforce++",
  ],
  [
    [["gamma", "gamma"]],
    ({ advantage }) => advantage === "gae" || advantage === "reinforce++",
    "algorithm.advantage=gae or reinforce++",
  ],
  [[["lambda", "lambda"]], ({ advantage }) => advantage === "gae", "algorithm.advantage=gae"],
  [
    [
      ["clip", "clipLow"],
      ["clipHigh", "clipHigh"],
    ],
    ({ loss }) => loss !== "importance-sampling",
    "another algorithm.loss than importance-sampling, which clips nothing",
  ],
  [
    [
      ["klIn", "klIn"],
      ["klEstimator", "klEstimator"],
    ],
    ({ kl }) => kl > 0,
    "algorithm.kl above 0, for example 0.001",
  ],
  [
    [["aggregation", "aggregation"]],
    ({ microBatchMean }) => microBatchMean === 0,
    "faithful.microBatchMean=0, which otherwise takes its place",
  ],
];

/**
 * Refuses settings that are each valid but make no sense together, or would have no effect.
 * @throws UserError naming the keys and what to do
 */
export function refuseContradictorySettings(config: AlgorithmConfig): void {
  const { algorithm, critic, train, faithful } = config;
  const own = choicesOf(algorithm.name);
  const { advantage, baseline, loss, kl } = algorithm;
  const chosen: Chosen = {
    advantage: advantage === "auto" ? own.advantage : advantage,
    baseline: baseline === "auto" ? own.baseline : baseline,
    loss: loss === "auto" ? own.loss : loss,
    kl: kl === "auto" ? own.kl : kl,
    microBatchMean: faithful.microBatchMean,
  };
  refuseGroupsOfOne(config, chosen);
  refuseWithoutEffect(algorithm, own, chosen);
  if (chosen.advantage === "gae" && critic.headStart > 0 && critic.headStart >= train.steps) {
    throw new UserError(
      `critic.headStart (${critic.headStart}) is not below train.steps (${train.steps}): the critic would be trained alone to the end, and the policy never. ` +
        "Lower the first or raise the second.",
    );
  }
}

function refuseGroupsOfOne({ algorithm, faithful }: AlgorithmConfig, { advantage, baseline }: Chosen): void {
  if (algorithm.groupSize > 1) return;
  const comparesInGroup =
    advantage === "rloo" ||
    (advantage === "group" && !faithful.groupOfOne) ||
    ((advantage === "reinforce" || advantage === "reinforce++") && baseline === "group-mean");
  if (comparesInGroup) {
    throw new UserError(
      `algorithm.groupSize is 1: ${algorithm.name} compares the rewards inside a group, so every advantage would be 0. ` +
        "Use algorithm.groupSize=2 or more, or algorithm.name=reinforce.",
    );
  }
  if (algorithm.dynamicSampling > 0) {
    throw new UserError(
      `algorithm.dynamicSampling is ${algorithm.dynamicSampling}, but algorithm.groupSize is 1: only groups whose rewards differ are learned from, and no group of one has ` +
        "any that differ. Use algorithm.groupSize=2 or more, or algorithm.dynamicSampling=0.",
    );
  }
}

/** A value that nothing reads is refused, unless it is what the name has there anyway: presets spell out what others leave at auto. */
function refuseWithoutEffect(algorithm: AlgorithmConfig["algorithm"], own: Readonly<Choices>, chosen: Chosen): void {
  for (const [keys, isUsed, goesWith] of effects) {
    if (isUsed(chosen)) continue;
    const idle = keys.find(([key, choice]) => algorithm[key] !== "auto" && algorithm[key] !== own[choice]);
    if (idle === undefined) continue;
    const [key] = idle;
    throw new UserError(
      `algorithm.${key} is ${String(algorithm[key])}, which has no effect on what is chosen here (${algorithm.name}, with ` +
        `advantage=${chosen.advantage} loss=${chosen.loss} kl=${chosen.kl}): it goes with ${goesWith}. Choose that, or leave algorithm.${key} at auto.`,
    );
  }
}

/** What a run is told of settings that are allowed and yet may not be meant; one sentence or two for each. */
export function algorithmNotes(config: AlgorithmConfig): string[] {
  return [...otherThanNamed(config), ...criticWithoutUse(config)];
}

/**
 * A name over a preset or a file that spells out the choices of another one: those stay, and may leave little of the name but itself. Told
 * are differences in what sets the name apart from GRPO, and in what it estimates and minimises.
 */
function otherThanNamed(config: AlgorithmConfig): string[] {
  const { name } = config.algorithm;
  const [own, standard, overrides] = [choicesOf(name), choicesOf("grpo"), overridesOf(config)];
  const keys = (Object.keys(own) as (keyof Choices)[]).filter(
    (key) => own[key] !== standard[key] || key === "advantage" || key === "loss",
  );
  const different = keys.filter((key) => overrides[key] !== undefined && overrides[key] !== own[key]);
  if (different.length === 0) return [];
  const nameOf = (key: keyof Choices): string => (key === "clipLow" ? "clip" : key);
  const list = (values: Partial<Choices>): string =>
    different.map((key) => `${nameOf(key)}=${String(values[key])}`).join(" ");
  const [first] = different;
  const isFaithful = first === "aggregation" && config.faithful.microBatchMean > 0;
  const back = isFaithful ? "faithful.microBatchMean=0" : `algorithm.${nameOf(first)}=auto`;
  return [
    `algorithm.name=${name} stands for ${list(own)}, but this run has ${list(overrides)}. ` +
      `Where that comes from a preset, a file or --faithful and is not meant, take the name's own: --set ${different.length > 1 ? `${back}, and so on` : back}.`,
  ];
}

function criticWithoutUse(config: AlgorithmConfig): string[] {
  const { name, advantage } = config.algorithm;
  if ((advantage === "auto" ? choicesOf(name).advantage : advantage) === "gae") return [];
  const critic = z.object(criticFields).parse({});
  const set = (Object.keys(critic) as (keyof typeof critic)[]).filter((key) => config.critic[key] !== critic[key]);
  if (set.length === 0) return [];
  const keys = set.map((key) => `critic.${key}`).join(", ");
  return [`${keys} will not be used: ${name} has no critic. algorithm.name=ppo has one.`];
}
