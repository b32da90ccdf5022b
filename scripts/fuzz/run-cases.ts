/** @file Damages files and reads them, in this process. */
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { isDeepStrictEqual } from "node:util";
import { classify } from "../../src/cli/failure.js";
import { filesBelow } from "../../src/files/manifest.js";
import { Random } from "../../src/random.js";
import type { Loader } from "./loader.js";
import { mutate } from "./mutate.js";

/** `read`, `refused`: as it should be. */
export type Outcome = "read" | "refused" | "untyped error" | "wrong content" | "no file named" | "too much memory";

export interface CaseResult {
  index: number;
  outcome: Outcome;
  /** The damaged file. */
  file: string;
  message: string;
}

export interface CaseOptions {
  seed: number;
  from: number;
  to: number;
  /** Largest growth of the process during a case. */
  mostMegabytes: number;
  onBegin?: (index: number) => void;
  onResult: (result: CaseResult) => void;
  /** Where the files of cases that fail are kept. */
  keep?: (result: CaseResult, folder: string) => Promise<void>;
}

/** Runs the cases `from` to `to` (exclusive). A case depends on the seed, the loader's name and its number only. */
export async function runCases(loader: Loader, options: CaseOptions): Promise<void> {
  const root = await mkdtemp(path.join(tmpdir(), "sleuth-fuzz-"));
  const whole = path.join(root, "whole");
  const work = path.join(root, "work");
  try {
    await mkdir(whole);
    await loader.make(whole);
    await cp(whole, work, { recursive: true });
    const expected = loader.isChecked ? await loader.load(work) : await loader.load(work).then(() => undefined);
    const files = new Map<string, Buffer>();
    for (const name of (await filesBelow(whole)).sort()) files.set(name, await readFile(path.join(whole, name)));
    for (let index = options.from; index < options.to; index++) {
      options.onBegin?.(index);
      const result = await runCase(loader, { whole, work, files, expected, index }, options);
      if (result.outcome !== "read" && result.outcome !== "refused") await options.keep?.(result, work);
      options.onResult(result);
      await restore(loader, whole, work, files, result.file);
      if (result.outcome === "too much memory") return;
    }
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

interface Case {
  whole: string;
  work: string;
  files: ReadonlyMap<string, Buffer>;
  expected: unknown;
  index: number;
}

async function runCase(
  loader: Loader,
  { work, files, expected, index }: Case,
  options: CaseOptions,
): Promise<CaseResult> {
  const random = new Random(options.seed, "fuzz", loader.name, index);
  const file = random.choice([...files.keys()].filter((name) => loader.damages?.(name) ?? true));
  const others = [...files].flatMap(([name, content]) => (name === file ? [] : [content]));
  const damaged = mutate(files.get(file)!, others, random);
  const hasNewChecksums = loader.writeChecksums !== undefined && typeof damaged !== "string" && random.integer(2) === 0;
  const place = path.join(work, file);
  await rm(place, { force: true });
  if (damaged === "folder") await mkdir(place);
  else if (damaged !== "missing") await writeFile(place, damaged);
  if (hasNewChecksums) await loader.writeChecksums!(work).catch(() => undefined);
  const before = process.resourceUsage().maxRSS;
  const judged = (outcome: Outcome, message = ""): CaseResult => {
    const grown = (process.resourceUsage().maxRSS - before) / 1024;
    if (grown <= options.mostMegabytes) return { index, outcome, file, message };
    return { index, outcome: "too much memory", file, message: `${Math.round(grown)} MB more. ${outcome}: ${message}` };
  };
  try {
    const value = await loader.load(work);
    const mustBeSame = loader.isChecked === true && !hasNewChecksums;
    return judged(mustBeSame && !isDeepStrictEqual(value, expected) ? "wrong content" : "read");
  } catch (error) {
    if (!(error instanceof Error) || classify(error)?.kind !== "user")
      return judged("untyped error", error instanceof Error ? (error.stack ?? error.message) : String(error));
    const names =
      loader.isNameless === true || error.message.includes(work) || error.message.includes(path.basename(file));
    return judged(names ? "refused" : "no file named", error.message);
  }
}

async function restore(
  loader: Loader,
  whole: string,
  work: string,
  files: ReadonlyMap<string, Buffer>,
  damaged: string,
): Promise<void> {
  if (loader.writes === true) {
    await rm(work, { recursive: true, force: true });
    await cp(whole, work, { recursive: true });
    return;
  }
  const names = loader.writeChecksums === undefined ? [damaged] : [...files.keys()];
  for (const name of names) {
    if (name === damaged) await rm(path.join(work, name), { recursive: true, force: true });
    await writeFile(path.join(work, name), files.get(name)!);
  }
}

/** Files that this process has open, where the system tells. */
export function openFiles(): number {
  try {
    return readdirSync("/proc/self/fd").length;
  } catch {
    return 0;
  }
}
