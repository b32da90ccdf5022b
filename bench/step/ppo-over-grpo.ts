/**
 * @file What a whole step of PPO takes beside one of GRPO on the demo's model and questions: the same attempts in groups of the same size, and
 * with PPO the reference log-probabilities, values, an update of the critic and one of the policy.
 */
import { mean } from "../../src/eval/intervals.js";
import { atlasDemo } from "../../src/recipes/search-r1/recipe.js";
import { mergeConfig, parseConfig, type Config, type ConfigInput } from "../../src/train/config/config.js";
import { openPolicy } from "../../src/train/open-policy.js";
import { openTask } from "../../src/train/open-task.js";
import { algorithmOf } from "../../src/train/parts.js";
import { loadSplits } from "../../src/train/questions.js";
import { attemptQuestions } from "../../src/train/rollouts.js";
import type { Run } from "../../src/train/run.js";
import { learn } from "../../src/train/update.js";
import type { Group } from "../../src/types.js";
import type { BenchContext } from "../bench.js";
import { median } from "../smollm2.js";

/** Below what a number of float32 feels: weights stay, so that both make the same attempts in every round. */
const nothing = 1e-20;

const stepOf = (changes: ConfigInput): Config => parseConfig(mergeConfig(atlasDemo, changes));

/** KL in PPO's rewards as in the original, so that there is a reference. */
const configs = {
  grpo: stepOf({ optimizer: { learningRate: nothing } }),
  ppo: stepOf({
    algorithm: { name: "ppo", kl: 0.001 },
    optimizer: { learningRate: nothing },
    critic: { learningRate: nothing },
  }),
};
type Name = keyof typeof configs;

interface StepTime {
  /** Seconds. */
  rollout: number;
  update: number;
}

export async function ppoOverGrpo({ report, note, quick }: BenchContext): Promise<void> {
  const [warmUp, measured] = quick ? [0, 1] : [1, 5];
  const policy = await openPolicy(configs.ppo);
  const task = await openTask(configs.ppo, {}, { questions: [] });
  const splits = await loadSplits(configs.ppo);
  const runOf = (config: Config): Run => ({
    config,
    parts: { policy: policy.value, task: task.value, algorithm: algorithmOf(config), ...splits },
    folder: "",
    emit: () => {},
  });
  const runs = { grpo: runOf(configs.grpo), ppo: runOf(configs.ppo) };
  const times: Record<Name, StepTime[]> = { grpo: [], ppo: [] };
  try {
    for (let round = 0; round < warmUp + measured; round++) {
      // They take turns, and begin in turn.
      for (const name of round % 2 === 0 ? (["grpo", "ppo"] as const) : (["ppo", "grpo"] as const)) {
        note(`bench: ${name}, round ${round + 1}/${warmUp + measured}`);
        const time = await oneStep(runs[name], round);
        if (round >= warmUp) times[name].push(time);
      }
    }
  } finally {
    await policy.close();
    await task.close();
  }
  const whole = ({ rollout, update }: StepTime): number => rollout + update;
  const ratios = times.ppo.map((time, round) => whole(time) / whole(times.grpo[round]));
  report({ name: "step.ppoOverGrpo", value: median(ratios), unit: "times" });
  for (const name of ["grpo", "ppo"] as const) {
    report({ name: `step.${name}.rollout`, value: mean(times[name].map(({ rollout }) => rollout)), unit: "s" });
    report({ name: `step.${name}.update`, value: mean(times[name].map(({ update }) => update)), unit: "s" });
  }
}

async function oneStep(run: Run, round: number): Promise<StepTime> {
  const { config, parts } = run;
  const start = performance.now();
  const { groups } = await attemptQuestions(run, round, round * config.train.questionsPerStep);
  const sampled = performance.now();
  const { algorithm, policy } = parts;
  const state = algorithm.initialState();
  await learn({ policy, algorithm, groups: groups.map(contested), state, step: round, learningRateScale: 1, config });
  return { rollout: (sampled - start) / 1000, update: (performance.now() - sampled) / 1000 };
}

/** With rewards that differ in every group, so that every attempt is trained on by both. */
function contested(group: Group): Group {
  return { ...group, rewards_G: group.rewards_G.map((_, member) => member % 2) };
}
