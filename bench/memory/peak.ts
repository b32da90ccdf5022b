/** @file What a process has taken at most. */
import { readFileSync } from "node:fs";

/** Ask while sessions are still open: what they map and the system counts again is told from what is mapped now. */
export function peakBytes(): number {
  return process.resourceUsage().maxRSS * 1024 - countedAgain();
}

/**
 * Every session that trains maps the frozen weights, and the system counts the same pages for each of them: what is counted above one
 * copy. Where it does not tell (anywhere but on Linux), nothing is taken off.
 */
function countedAgain(): number {
  try {
    const rollup = readFileSync("/proc/self/smaps_rollup", "utf8");
    const [rss, pss] = ["Rss", "Pss"].map((name) => Number(new RegExp(`^${name}: +(\\d+) kB`, "m").exec(rollup)?.[1]));
    return Number.isFinite(rss - pss) ? 1024 * (rss - pss) : 0;
  } catch {
    return 0;
  }
}
