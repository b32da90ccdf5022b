/** @file The metrics of a step's rollouts: pure counting over its groups. */
import { finishShares } from "../eval/evaluation.js";
import { mean } from "../eval/intervals.js";
import type { Task } from "../eval/run-evaluation.js";
import type { Group, Trajectory } from "../types.js";
import type { MetricValues } from "./metrics.js";
import { repeatedShare } from "./watch/repetition.js";

/** What a step's groups say about the policy that made them. */
export function rolloutMetrics(
  groups: readonly Group[],
  task: Pick<Task, "exactMatch" | "isWellFormed">,
): MetricValues {
  const trajectories = groups.flatMap((group) => group.trajectories_G);
  const searches = trajectories.flatMap((trajectory) => trajectory.searches);
  const finish = Object.entries(finishShares(trajectories)).map(([reason, share]) => [`finish/${reason}`, share]);
  const logprobs = trajectories.flatMap(logprobsOf);
  const matches = groups.flatMap((group) =>
    group.trajectories_G.map((trajectory) => task.exactMatch(group.question, trajectory)),
  );
  const correctLogprobs = trajectories.flatMap((trajectory, index) =>
    matches[index] === 1 ? logprobsOf(trajectory) : [],
  );
  return {
    "reward/mean": mean(groups.flatMap((group) => group.rewards_G)),
    "em/train": mean(matches),
    "searches/perQuestion": searches.length / trajectories.length,
    "searches/failed": mean(searches.map((search) => (search.error === undefined ? 0 : 1))),
    "searches/waitMs": mean(searches.map((search) => search.waitedMs)),
    "passages/omitted": mean(searches.map((search) => search.omittedPassages)),
    "passages/sanitized": mean(searches.map((search) => search.sanitized)),
    ...(Object.fromEntries(finish) as MetricValues),
    ...formMetrics(trajectories, task),
    "tokens/policy": logprobs.length / trajectories.length,
    "tokens/total": mean(trajectories.map(tokenCount)),
    "tokens/repeated": repeatedShare(trajectories),
    "groups/zeroVariance": mean(
      groups.map(({ rewards_G }) => (rewards_G.every((reward) => reward === rewards_G[0]) ? 1 : 0)),
    ),
    "policy/surprise": -mean(logprobs),
    ...(correctLogprobs.length === 0 ? {} : { "policy/correctLogprob": mean(correctLogprobs) }),
  };
}

/** How many keep to the protocol; nothing for an environment without one. */
function formMetrics(trajectories: readonly Trajectory[], { isWellFormed }: Pick<Task, "isWellFormed">): MetricValues {
  if (isWellFormed === undefined) return {};
  const share = (thinkRequired: boolean): number =>
    mean(trajectories.map((trajectory) => (isWellFormed(trajectory, { thinkRequired }) ? 1 : 0)));
  return { "format/wellFormed": share(false), "format/withThoughts": share(true) };
}

function logprobsOf({ segments }: Trajectory): number[] {
  return segments.flatMap(({ logprobs_T }) => logprobs_T ?? []);
}

function tokenCount(trajectory: Trajectory): number {
  return trajectory.segments.reduce((sum, segment) => sum + segment.tokens_T.length, 0);
}
