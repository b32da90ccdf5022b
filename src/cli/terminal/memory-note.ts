/** @file The line about memory that verbs show before they compute: what is expected, for what, and the sizes that follow from it. */
import { formatMemory } from "../../engine/memory/limit.js";
import { exceedsLimit } from "../../engine/memory/plan.js";
import { plural } from "./format.js";
import type { Terminal } from "./terminal.js";
import type { MemoryPlan } from "../../contracts/policy.js";

/** Notes the plan; in colour where it exceeds the limit, which only sizes that were asked for do. */
export function noteMemory(terminal: Terminal, plan: MemoryPlan): void {
  const { dim, yellow } = terminal.progressColors;
  terminal.note(dim(memoryLine(plan)));
  if (exceedsLimit(plan)) terminal.note(yellow(excessLine(plan)));
}

/** `Memory: at most 4.2 GB of 18.8 GB expected (activations 2.0 GB, …); micro-batches of 2,048 tokens` */
export function memoryLine({ totalBytes, limitBytes, parts, microBatchTokens, recompute }: MemoryPlan): string {
  const named = [...parts].sort((a, b) => b.bytes - a.bytes).map(({ name, bytes }) => `${name} ${formatMemory(bytes)}`);
  const line = `Memory: at most ${formatMemory(totalBytes)} of ${formatMemory(limitBytes)} expected (${named.join(", ")})`;
  if (!parts.some(({ name }) => name === "activations")) return line;
  const again = recompute ? ", activations computed again" : "";
  return `${line}; micro-batches of ${plural(microBatchTokens, "token")}${again}`;
}

function excessLine({ limitBytes, microBatchTokens }: MemoryPlan): string {
  return (
    `That is more than the ${formatMemory(limitBytes)} that may be used, and the process may be stopped for it: micro-batches of ` +
    `${microBatchTokens} tokens were asked for. Lower train.microBatchTokens, or set it to 0 and the plan chooses.`
  );
}
