/** @file Settings of an algorithm that are each valid but make no sense together, or would have no effect: refused before anything is opened. */
import type { Choices } from "../../algorithms/choices.js";
import { choicesOf } from "../../algorithms/named.js";
import { UserError } from "../../errors.js";
import type { Config } from "./config.js";

type Key = keyof Config["algorithm"];

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

/** @throws UserError naming the keys and what to do */
export function refuseAlgorithmContradictions(config: Config): void {
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

function refuseGroupsOfOne({ algorithm, faithful }: Config, { advantage, baseline }: Chosen): void {
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
function refuseWithoutEffect(algorithm: Config["algorithm"], own: Readonly<Choices>, chosen: Chosen): void {
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
