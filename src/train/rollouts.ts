/** @file The attempts of one step: its questions, `groupSize` times each, with their rewards. */
import { isPolicyOutcome } from "../algorithms/rows.js";
import { attemptAndScore } from "../rollout/environment.js";
import { deriveSeed } from "../random.js";
import type { Group } from "../types.js";
import { drawQuestions, type Draw } from "./questions.js";
import type { Run } from "./run.js";

/** What a step attempted. */
interface StepAttempts {
  /** All of it: what metrics are about. */
  groups: Group[];
  /** What is learned from: under dynamic sampling the groups whose rewards differ, else all. */
  learned: Group[];
  /** Questions drawn since the beginning of the run: the data cursor. */
  drawn: number;
}

/**
 * Attempts the questions of step `step` (from 0), the next ones after `drawn`. What an attempt samples follows from the seed, its question,
 * how often that was drawn before and its place in the group; never from what else runs.
 *
 * Dynamic sampling (DAPO, arXiv:2503.14476, §3.2): groups with equal rewards teach nothing, so further questions take their places, for at
 * most `algorithm.dynamicSampling` rounds. Departure: the paper goes on without a bound and throws surplus groups away; here exactly the
 * missing ones are drawn.
 */
export async function attemptQuestions(run: Run, step: number, drawn: number): Promise<StepAttempts> {
  const { config, parts } = run;
  const { questionsPerStep, seed } = config.train;
  const rounds = config.algorithm.dynamicSampling;
  const groups: Group[] = [];
  const draw = async (count: number): Promise<void> => {
    groups.push(...(await attemptDraws(run, step, drawQuestions(parts.questions, seed, drawn, count), groups.length)));
    drawn += count;
  };
  await draw(questionsPerStep);
  if (rounds === 0) return { groups, learned: groups, drawn };
  let learned = groups.filter(isInformative);
  for (let round = 0; round < rounds && learned.length < questionsPerStep; round++) {
    await draw(questionsPerStep - learned.length);
    learned = groups.filter(isInformative);
  }
  return { groups, learned, drawn };
}

/** Whether the rewards of a group differ, among the attempts whose end was the policy's doing. */
function isInformative({ trajectories_G, rewards_G }: Group): boolean {
  const rewards = rewards_G.filter((_, member) => isPolicyOutcome(trajectories_G[member]));
  return rewards.some((reward) => reward !== rewards[0]);
}

/** @param before groups of the same step that have been attempted already, for the progress */
async function attemptDraws(run: Run, step: number, draws: readonly Draw[], before: number): Promise<Group[]> {
  const { config, parts, signal, emit } = run;
  const { groupSize } = config.algorithm;
  const { temperature, topP, maxConcurrent } = config.rollout;
  const attempts = draws.flatMap((draw) => Array.from({ length: groupSize }, (_, member) => ({ draw, member })));
  const total = before * groupSize + attempts.length;
  const scored = await attemptAndScore(
    attempts,
    ({ draw, member }, inner) =>
      parts.task.environment(draw.question, {
        policy: parts.policy,
        temperature,
        topP,
        seed: attemptSeed(config.train.seed, draw, member),
        signal: inner,
      }),
    ({ draw }, trajectory, inner) => parts.task.reward(draw.question, trajectory, { step, signal: inner }),
    {
      concurrency: maxConcurrent,
      signal,
      onDone: (done) => emit({ kind: "progress", phase: "rollout", step, done: before * groupSize + done, total }),
    },
  );
  return draws.map(({ question }, index) => {
    const members = scored.slice(index * groupSize, (index + 1) * groupSize);
    return {
      question,
      trajectories_G: members.map(({ trajectory }) => trajectory),
      rewards_G: members.map(({ score }) => score),
    };
  });
}

function attemptSeed(seed: number, { question, draw }: Draw, member: number): number {
  return deriveSeed(seed, "rollout", question.source ?? "", question.id, draw, member);
}
