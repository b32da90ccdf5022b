/** @file The attempts of one step: its questions, `groupSize` times each, with their rewards. */
import { attemptAll } from "../eval/environment.js";
import { deriveSeed } from "../random.js";
import type { Group } from "../types.js";
import { questionsOfStep, type Draw } from "./question-order.js";
import type { Run } from "./run.js";

/**
 * Attempts the questions of step `step` (from 0). What an attempt samples follows from the seed, its question, how often
 * that was drawn before and its place in the group; never from what else runs.
 */
export async function attemptQuestions(run: Run, step: number): Promise<Group[]> {
  const { config, parts, signal, emit } = run;
  const { questionsPerStep, seed } = config.train;
  const { groupSize } = config.algorithm;
  const draws = questionsOfStep(parts.questions, seed, step, questionsPerStep);
  const attempts = draws.flatMap((draw) => Array.from({ length: groupSize }, (_, member) => ({ draw, member })));
  const trajectories = await attemptAll(
    attempts,
    ({ draw, member }, inner) =>
      parts.task.environment(draw.question, {
        policy: parts.policy,
        temperature: config.rollout.temperature,
        seed: attemptSeed(seed, draw, member),
        signal: inner,
      }),
    {
      concurrency: config.rollout.maxConcurrent,
      signal,
      onDone: (done) => emit({ kind: "progress", phase: "rollout", step, done, total: attempts.length }),
    },
  );
  return draws.map(({ question }, index) => {
    const trajectories_G = trajectories.slice(index * groupSize, (index + 1) * groupSize);
    return { question, trajectories_G, rewards_G: trajectories_G.map((each) => parts.task.reward(question, each)) };
  });
}

function attemptSeed(seed: number, { question, draw }: Draw, member: number): number {
  return deriveSeed(seed, "rollout", question.source ?? "", question.id, draw, member);
}
