/** @file Estimators that compare the trajectories of a group, over the groups of a batch. */
import type { GroupAdvantages } from "./group.js";

/** One advantage per row of a batch. */
export interface Compared {
  advantages_D: number[];
  /** Whether all rewards of the row's group were equal. */
  silent_D: boolean[];
  zeroVarianceGroups: number;
  /** Why groups had no signal, each reason once. */
  explanations: string[];
}

/** Judges each group by itself. Rows of equal number in `groups_D` are one group, wherever they stand. */
export function compareGroups(
  rewards_D: readonly number[],
  groups_D: readonly number[],
  judge: (rewards_G: readonly number[]) => GroupAdvantages,
): Compared {
  const members = new Map<number, number[]>();
  groups_D.forEach((group, d) => {
    const group_G = members.get(group);
    if (group_G) group_G.push(d);
    else members.set(group, [d]);
  });
  const advantages_D = rewards_D.map(() => 0);
  const silent_D = rewards_D.map(() => false);
  const explanations = new Set<string>();
  let zeroVarianceGroups = 0;
  for (const group_G of members.values()) {
    const { advantages_G, zeroVariance, explanation } = judge(group_G.map((d) => rewards_D[d]));
    group_G.forEach((d, member) => {
      advantages_D[d] = advantages_G[member];
      silent_D[d] = zeroVariance;
    });
    if (zeroVariance) zeroVarianceGroups++;
    if (explanation !== undefined) explanations.add(explanation);
  }
  return { advantages_D, silent_D, zeroVarianceGroups, explanations: [...explanations] };
}
