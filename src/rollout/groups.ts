/** @file Many attempts at once: G trajectories of a question, and many questions side by side. */
import { setMaxListeners } from "node:events";
import { deriveSeed } from "../random.js";
import type { Group, Question, Trajectory } from "../types.js";
import type { RolloutOptions } from "./rollout.js";
import { rollout } from "./rollout.js";

/**
 * A question and the identity of its group. Row numbers restart in each dataset and questions return in each epoch, so
 * all four parts are needed to keep groups apart (Search-R1 used the index alone and merged groups of different datasets).
 */
export interface GroupRequest {
  question: Question;
  /** Dataset. */
  source: string;
  split: string;
  /** Row in the dataset. */
  index: number;
  /** How often the question was drawn before. */
  draw: number;
}

export interface RolledGroup extends Group {
  request: GroupRequest;
}

export interface TrajectoryEvent {
  request: GroupRequest;
  /** Which of the group's trajectories, from 0. */
  member: number;
  trajectory: Trajectory;
  reward: number;
}

export interface GroupOptions extends Omit<RolloutOptions, "seed"> {
  /** Everything sampled follows from it and the groups' identities. */
  runSeed: number;
  /** Reward of a trajectory. */
  score: (question: Question, trajectory: Trajectory) => number;
  /** Called as trajectories finish, in the order of finishing. */
  onTrajectory?: (event: TrajectoryEvent) => void;
  /** Trajectories under way at once. Default: all; the policy batches them. */
  maxConcurrent?: number;
}

/** One text per group identity, for maps and traces. */
export function groupKey({ source, split, index, draw }: GroupRequest): string {
  return JSON.stringify([source, split, index, draw]);
}

/** The seed of one trajectory: it depends on what is attempted, never on what else runs. */
export function trajectorySeed(runSeed: number, request: GroupRequest, member: number): number {
  const { source, split, index, draw } = request;
  return deriveSeed(runSeed, source, split, index, draw, member);
}

/** `groupSize` attempts at one question. */
export async function rolloutGroup(
  request: GroupRequest,
  groupSize: number,
  options: GroupOptions,
): Promise<RolledGroup> {
  const [group] = await rolloutGroups([request], groupSize, options);
  return group;
}

/**
 * `groupSize` attempts at each question, concurrently; groups in the order of the requests.
 * If one rejects (a prompt too long, a broken policy), the others are cancelled and the first error is thrown.
 */
export async function rolloutGroups(
  requests: readonly GroupRequest[],
  groupSize: number,
  options: GroupOptions,
): Promise<RolledGroup[]> {
  const { runSeed, score, onTrajectory, maxConcurrent = Infinity, ...rolloutOptions } = options;
  const attempts = requests.map(() => new Array<{ trajectory: Trajectory; reward: number }>(groupSize));
  const jobs = requests.flatMap((request, row) =>
    Array.from({ length: groupSize }, (_, member) => ({ request, row, member })),
  );

  const attempt = async (job: (typeof jobs)[number], signal: AbortSignal): Promise<void> => {
    const { request, row, member } = job;
    const seed = trajectorySeed(runSeed, request, member);
    const trajectory = await rollout(request.question, { ...rolloutOptions, seed, signal });
    const reward = score(request.question, trajectory);
    attempts[row][member] = { trajectory, reward };
    onTrajectory?.({ request, member, trajectory, reward });
  };
  await runAll(jobs, attempt, { signal: options.signal, maxConcurrent });

  return requests.map((request, row) => ({
    request,
    question: request.question,
    trajectories_G: attempts[row].map(({ trajectory }) => trajectory),
    rewards_G: attempts[row].map(({ reward }) => reward),
  }));
}

/** Runs all jobs, `maxConcurrent` at a time. The first failure aborts the rest, waits for them and is thrown. */
async function runAll<T>(
  jobs: readonly T[],
  run: (job: T, signal: AbortSignal) => Promise<void>,
  options: { signal?: AbortSignal; maxConcurrent: number },
): Promise<void> {
  const controller = new AbortController();
  // One listener per trajectory under way is no leak.
  setMaxListeners(0, controller.signal);
  const onAbort = (): void => controller.abort(options.signal?.reason);
  if (options.signal?.aborted) onAbort();
  options.signal?.addEventListener("abort", onAbort);
  const failures: unknown[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < jobs.length && failures.length === 0) {
      try {
        await run(jobs[next++], controller.signal);
      } catch (error) {
        failures.push(error);
        controller.abort(error);
      }
    }
  };
  const workers = Math.max(1, Math.min(options.maxConcurrent, jobs.length));
  await Promise.all(Array.from({ length: workers }, worker));
  options.signal?.removeEventListener("abort", onAbort);
  if (failures.length > 0) throw failures[0];
}
