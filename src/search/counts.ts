/** @file Adding up what several parts have counted. */

export type Counts = Readonly<Record<string, number>>;

/** Sums by name. */
export function addCounts(...all: readonly (Counts | undefined)[]): Counts {
  const sums: Record<string, number> = {};
  for (const counts of all) {
    for (const [name, value] of Object.entries(counts ?? {})) sums[name] = (sums[name] ?? 0) + value;
  }
  return sums;
}
