/** @file Cells and warm-ups as command lines, each with a folder that its settings name. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { readResult } from "../../src/train/result.js";
import { seeds, shared, variants, type Variant, type WarmUp } from "./cells.js";
import { loadOutcome, readOutcome, saveOutcome } from "./outcome.js";

/** Where runs lie, from the root of the repository. */
export const runsFolder = join("runs", "experiments");

/** One process of `sleuth`. */
export interface Job {
  /** As `grpo-0`. */
  label: string;
  /** Words after `sleuth`, without the run folder. */
  words: readonly string[];
  /** From the root of the repository. Other settings make another folder, so a changed grid never reads old runs. */
  folder: string;
  /** Expected CPU seconds. */
  cost: number;
  isDone(): boolean;
  /** Keeps what the page needs once the process has ended well. */
  keep(wallSeconds: number): Promise<void>;
  /** The result in a few words, for the line of progress. */
  summary(): string;
}

/** A cell of the grid. */
export interface Cell extends Job {
  variant: Variant;
  seed: number;
  /** What must be done before. */
  after?: Job;
  /** Of its outcome, from the root of the repository. */
  file: string;
}

/** All cells, seed by seed: an interrupted grid has whole seeds of everything. */
export function allCells(): Cell[] {
  const warmUps = new Map<string, Job>();
  const warmUpOf = (warmUp: WarmUp, seed: number): Job => {
    const job = warmUps.get(`${warmUp.name}-${seed}`) ?? warmUpJob(warmUp, seed);
    warmUps.set(job.label, job);
    return job;
  };
  return seeds.flatMap((seed) =>
    (variants as readonly Variant[]).map((variant) =>
      cellOf(variant, seed, variant.warmUp === undefined ? undefined : warmUpOf(variant.warmUp, seed)),
    ),
  );
}

function cellOf(variant: Variant, seed: number, after: Job | undefined): Cell {
  const model = after === undefined ? [] : [`model.folder=${join(after.folder, "best")}`];
  const label = `${variant.name}-${seed}`;
  const words = ["train", "--seed", String(seed), ...sets([...shared, ...variant.settings, ...model])];
  const folder = folderOf(label, words);
  const file = `${folder}.json`;
  return {
    variant,
    seed,
    after,
    label,
    words,
    folder,
    file,
    cost: variant.cost,
    isDone: () => existsSync(file),
    async keep(wallSeconds) {
      await saveOutcome(
        file,
        await readOutcome(folder, { variant: variant.name, seed, command: [...words], wallSeconds }),
      );
      await dropCheckpoints(folder);
    },
    summary() {
      const outcome = loadOutcome(file);
      return outcome === undefined
        ? ""
        : `EM ${outcome.after.sampled.toFixed(3)} at T = 1, ${outcome.after.greedy.toFixed(3)} greedy`;
    },
  };
}

function warmUpJob(warmUp: WarmUp, seed: number): Job {
  const label = `${warmUp.name}-${seed}`;
  const words = ["sft", "--seed", String(seed), ...sets(warmUp.settings)];
  const folder = folderOf(label, words);
  return {
    label,
    words,
    folder,
    cost: warmUp.cost,
    isDone: () => existsSync(join(folder, "result.json")),
    keep: () => dropCheckpoints(folder),
    summary: () => "a warm start",
  };
}

function sets(settings: readonly string[]): string[] {
  // A setting given twice is given once, with its last value.
  const last = new Map(settings.map((setting) => [setting.slice(0, setting.indexOf("=")), setting]));
  return [...last.values()].flatMap((setting) => ["--set", setting]);
}

function folderOf(label: string, words: readonly string[]): string {
  const digest = createHash("sha256").update(JSON.stringify(words)).digest("hex").slice(0, 8);
  return join(runsFolder, `${label}-${digest}`);
}

/** Checkpoints are for going on; a finished run has nowhere to go, and a hundred of them fill a disk. */
async function dropCheckpoints(folder: string): Promise<void> {
  if ((await readResult(folder)) !== null) await rm(join(folder, "checkpoints"), { recursive: true, force: true });
}
