/**
 * @file What the plan of memory expects beside what a process takes at most: one process per case, which samples, trains and samples
 * again on SmolLM2-135M with the micro-batch given, so that every session of the engine runs as full as the plan allows it.
 */
import { execFile } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";
import { smollm2, smollm2IsAbsent } from "../src/engine/io/smollm2.test-support.js";
import type { BenchGroup } from "./bench.js";
import type { MemoryCase, MemoryFigures } from "./memory/case.js";

const cases: readonly MemoryCase[] = [
  { name: "sampling", adapt: "lora", microBatchTokens: 1024, recompute: "never", training: false },
  { name: "lora.m512", adapt: "lora", microBatchTokens: 512, recompute: "never", training: true },
  { name: "lora.m1024", adapt: "lora", microBatchTokens: 1024, recompute: "never", training: true },
  { name: "lora.m2048", adapt: "lora", microBatchTokens: 2048, recompute: "never", training: true },
  { name: "lora.m2048.recompute", adapt: "lora", microBatchTokens: 2048, recompute: "always", training: true },
  {
    name: "lora.m1024.critic",
    adapt: "lora",
    microBatchTokens: 1024,
    recompute: "never",
    training: true,
    critic: true,
  },
  {
    name: "lora.m1024.entropy",
    adapt: "lora",
    microBatchTokens: 1024,
    recompute: "never",
    training: true,
    entropy: true,
  },
  { name: "full.m512", adapt: "full", microBatchTokens: 512, recompute: "never", training: true },
  { name: "full.m1024", adapt: "full", microBatchTokens: 1024, recompute: "never", training: true },
  { name: "full.m1024.recompute", adapt: "full", microBatchTokens: 1024, recompute: "always", training: true },
  { name: "full.m512.critic", adapt: "full", microBatchTokens: 512, recompute: "never", training: true, critic: true },
];

export const parts = cases.map(({ name }) => name);

export const unavailable = (): string | undefined =>
  smollm2IsAbsent ? `${smollm2} is not there. npm run fixtures:smollm2 fetches it.` : undefined;

export const bench: BenchGroup = async ({ report, note, wants, precision }) => {
  const script = path.join(import.meta.dirname, "memory", "case.ts");
  for (const one of cases.filter(({ name }) => wants(name))) {
    note(`memory, ${one.name}`);
    // Where all weights are trained there is nothing to choose.
    const options: MemoryCase = one.adapt === "lora" ? { ...one, precision } : one;
    const args = ["--import", "tsx", script, JSON.stringify(options)];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    const { plannedBytes, peakBytes } = JSON.parse(stdout) as MemoryFigures;
    report({ name: `memory.${one.name}.planned`, value: plannedBytes / 2 ** 20, unit: "MB" });
    report({ name: `memory.${one.name}.peak`, value: peakBytes / 2 ** 20, unit: "MB" });
    report({ name: `memory.${one.name}.plannedShare`, value: plannedBytes / peakBytes, unit: "of peak" });
  }
};
