/**
 * @file The reward lab: the recorded attempts of a run scored again. Needs the run's files alone, neither model nor search engine.
 */
import { existsSync } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { UserError } from "../../errors.js";
import type { Protocol } from "../../prompts/protocol.js";
import { combineRewards, type CombinedScore } from "../../rewards/combine.js";
import { suspect, suspicions, type Suspected } from "../../rewards/suspicion.js";
import { traceFromLine, type TraceRecord } from "../../rollout/trace.js";
import { readLines } from "../../files/lines.js";
import type { Question } from "../../types.js";
import { applySets, configSchema, parseConfig, type Config, type ConfigInput } from "../config/config.js";
import { readOptionalJsonAs } from "../../files/json-file.js";
import { namedRewards, openJudge } from "../open-reward.js";
import { methodSettings } from "../../rollout/methods/named.js";

interface RescoreOptions {
  /** Weights by name. */
  reward: Readonly<Record<string, number>>;
  /** What it is compared with. Default: the rewards that the run recorded. */
  against?: Readonly<Record<string, number>>;
  /** Most attempts, the first ones. Default all. */
  limit?: number;
  /** Most disagreements, and attempts per sign of hacking, that are returned. Default 10. */
  show?: number;
  /** `group.key=value` on top of the run's configuration. */
  sets?: readonly string[];
  signal?: AbortSignal;
  onProgress?: (bytes: number, total: number) => void;
}

/** An attempt under both rewards. */
export interface Rescored {
  /** File and line. */
  place: string;
  step?: number;
  question: string;
  expected: string[];
  answer: string | null;
  before: number;
  after: number;
  record: TraceRecord;
}

/** A set of attempts under both rewards. */
export interface Comparison {
  n: number;
  meanBefore: number;
  meanAfter: number;
  /** Pearson's; null where one of them is constant. */
  correlation: number | null;
  disagreements: number;
}

/** A sign of hacking, and what it earned. */
interface SuspicionReport {
  name: string;
  meaning: string;
  attempts: number;
  /** Mean of the new reward over the attempts that show it, and over the others; null over none. */
  meanReward: number | null;
  meanOthers: number | null;
  /** The best rewarded ones. */
  examples: (Rescored & { evidence: string })[];
}

export interface RescoreReport {
  all: Comparison;
  /** Steps in up to ten parts, then each evaluation. */
  parts: (Comparison & { name: string })[];
  /** The largest differences first. */
  disagreements: Rescored[];
  suspicions: SuspicionReport[];
  /** Attempts that show any sign. */
  suspected: number;
  /** Attempts without their question or, where that is compared with, without a recorded reward. */
  skipped: number;
  /** Judgements that failed and became exact matches. */
  judgeFailures: number;
}

/**
 * Scores the attempts in `trajectories/` and `evaluations/` again.
 * @throws UserError for folders without recorded attempts, damaged lines, unknown rewards and settings
 */
export async function rescore(run: string, options: RescoreOptions): Promise<RescoreReport> {
  const { limit = Infinity, show = 10, signal } = options;
  const files = await recordedFiles(run);
  const config = await lenientConfig(run, options.sets ?? []);
  const protocol = settledProtocol(config, run);
  const judgeNeeded = [options.reward, options.against ?? {}].some((weights) => Object.hasOwn(weights, "llm-judge"));
  const judge = judgeNeeded ? await openJudge(config) : undefined;
  const available = namedRewards(config, judge?.reward);
  const after = combineRewards(options.reward, available);
  const before = options.against === undefined ? null : combineRewards(options.against, available);
  const tallies = new Tallies(show);
  const total = files.reduce((sum, { bytes }) => sum + bytes, 0);
  let bytes = 0;
  let read = 0;
  try {
    for (const { file, name } of files) {
      const onBytes = (more: number): void => options.onProgress?.((bytes += more), total);
      for await (const lines of readLines(file, { signal, onBytes })) {
        const records = lines.slice(0, limit - read).map(({ text, number }) => {
          const place = `${path.relative(run, file)}:${number}`;
          return { place, record: traceFromLine(text, path.join(run, place)) };
        });
        read += records.length;
        const scored = await Promise.all(
          records.map(({ place, record }) => scoreBoth(place, record, { before, after, protocol, signal })),
        );
        for (const each of scored) tallies.add(name, each);
        if (read >= limit) break;
      }
      if (read >= limit) break;
    }
    return tallies.report(judge?.takeReport().failed ?? 0, options.against === undefined);
  } finally {
    await judge?.close();
  }
}

interface RecordedFile {
  file: string;
  /** `step 12` or the evaluation's name. */
  name: { step: number } | { evaluation: string };
  bytes: number;
}

async function recordedFiles(run: string): Promise<RecordedFile[]> {
  if (!existsSync(run)) throw new UserError(`${run} does not exist. Give the folder of a run, for example runs/mine.`);
  const inside = async (folder: string): Promise<RecordedFile[]> => {
    const whole = path.join(run, folder);
    if (!existsSync(whole)) return [];
    const names = (await readdir(whole)).filter((name) => name.endsWith(".jsonl")).sort();
    return Promise.all(
      names.map(async (name) => {
        const file = path.join(whole, name);
        const step = /^step-(\d+)\.jsonl$/.exec(name)?.[1];
        const evaluation = path.basename(name, ".jsonl");
        return {
          file,
          name: step === undefined ? { evaluation } : { step: Number(step) },
          bytes: (await stat(file)).size,
        };
      }),
    );
  };
  const files = [...(await inside("trajectories")), ...(await inside("evaluations"))];
  if (files.some(({ bytes }) => bytes > 0)) return files;
  throw new UserError(
    `${run} holds no recorded attempts (trajectories/*.jsonl, evaluations/*.jsonl). Give the folder of a run that was made with train.saveTrajectories above 0.`,
  );
}

type LabConfig = Pick<Config, "rollout" | "reward" | "faithful">;

/** The part of a run's configuration that rewards depend on; keys of other versions are ignored, since rescoring needs no more. */
async function lenientConfig(run: string, sets: readonly string[]): Promise<LabConfig> {
  const file = path.join(run, "config.json");
  const groups = z.record(z.string(), z.record(z.string(), z.unknown()));
  const saved = (await readOptionalJsonAs(file, groups, "Restore it.")) ?? {};
  const known = (["rollout", "reward", "faithful"] as const).map((group) => {
    const keys = Object.keys(configSchema.shape[group].unwrap().shape);
    return [group, Object.fromEntries(Object.entries(saved[group] ?? {}).filter(([key]) => keys.includes(key)))];
  });
  return parseConfig(applySets(Object.fromEntries(known) as ConfigInput, sets), file);
}

function settledProtocol({ rollout }: LabConfig, run: string): Protocol {
  if (rollout.protocol !== "auto") return methodSettings(rollout).protocol;
  throw new UserError(
    `The configuration of ${run} does not say with which tags it was made (rollout.protocol). Say so: --set rollout.protocol=search-r1`,
  );
}

interface Scores {
  /** null: the recorded reward. */
  before: CombinedScore | null;
  after: CombinedScore;
  protocol: Protocol;
  signal?: AbortSignal;
}

type Scored = { rescored: Rescored; seen: Suspected[] } | "no question" | "no reward";

async function scoreBoth(
  place: string,
  record: TraceRecord,
  { before, after, protocol, signal }: Scores,
): Promise<Scored> {
  const { question, trajectory, reward, step } = record;
  if (question === undefined) return "no question";
  if (before === null && reward === undefined) return "no reward";
  const score = async (by: CombinedScore): Promise<number> => (await by(question, trajectory, { signal })).total;
  const [old, now] = await Promise.all([before === null ? (reward as number) : score(before), score(after)]);
  const rescored = { place, step, ...asked(question), answer: trajectory.answer, before: old, after: now, record };
  return { rescored, seen: suspect(question, trajectory, protocol) };
}

function asked({ question, answers }: Question): { question: string; expected: string[] } {
  return { question, expected: answers };
}

/** Smaller differences are those of adding up in another order. */
const tolerance = 1e-6;

/** Sums from which a comparison follows; they can be added. */
class Sums {
  n = 0;
  disagreements = 0;
  #before = 0;
  #after = 0;
  #beforeSquared = 0;
  #afterSquared = 0;
  #product = 0;

  add({ before, after }: Pick<Rescored, "before" | "after">): void {
    this.n++;
    if (Math.abs(before - after) > tolerance) this.disagreements++;
    this.#before += before;
    this.#after += after;
    this.#beforeSquared += before * before;
    this.#afterSquared += after * after;
    this.#product += before * after;
  }

  plus(other: Sums): void {
    this.n += other.n;
    this.disagreements += other.disagreements;
    this.#before += other.#before;
    this.#after += other.#after;
    this.#beforeSquared += other.#beforeSquared;
    this.#afterSquared += other.#afterSquared;
    this.#product += other.#product;
  }

  comparison(): Comparison {
    const { n, disagreements } = this;
    const [meanBefore, meanAfter] = [this.#before / n, this.#after / n];
    const varianceBefore = this.#beforeSquared / n - meanBefore ** 2;
    const varianceAfter = this.#afterSquared / n - meanAfter ** 2;
    const isConstant = Math.min(varianceBefore, varianceAfter) < 1e-12;
    const covariance = this.#product / n - meanBefore * meanAfter;
    const correlation = isConstant ? null : covariance / Math.sqrt(varianceBefore * varianceAfter);
    return { n, meanBefore, meanAfter, correlation, disagreements };
  }
}

/** The steps are shown in so many parts at most. */
const mostParts = 10;

class Tallies {
  readonly #show: number;
  readonly #steps = new Map<number, Sums>();
  readonly #evaluations = new Map<string, Sums>();
  #disagreements: Rescored[] = [];
  readonly #signs = new Map<string, { attempts: number; reward: number; examples: SuspicionReport["examples"] }>();
  #rewards = 0;
  #suspected = 0;
  #skipped = 0;
  #withoutReward = 0;

  constructor(show: number) {
    this.#show = show;
  }

  add(name: RecordedFile["name"], scored: Scored): void {
    if (typeof scored === "string") {
      this.#skipped++;
      if (scored === "no reward") this.#withoutReward++;
      return;
    }
    const { rescored, seen } = scored;
    if ("step" in name) sumsAt(this.#steps, name.step).add(rescored);
    else sumsAt(this.#evaluations, name.evaluation).add(rescored);
    this.#rewards += rescored.after;
    if (Math.abs(difference(rescored)) > tolerance)
      this.#disagreements = best([...this.#disagreements, rescored], this.#show, (each) => Math.abs(difference(each)));
    if (seen.length > 0) this.#suspected++;
    for (const { name: sign, evidence } of seen) {
      const tally = this.#signs.get(sign) ?? { attempts: 0, reward: 0, examples: [] };
      tally.attempts++;
      tally.reward += rescored.after;
      tally.examples = best([...tally.examples, { ...rescored, evidence }], this.#show, ({ after }) => after);
      this.#signs.set(sign, tally);
    }
  }

  report(judgeFailures: number, isAgainstRecorded: boolean): RescoreReport {
    const all = new Sums();
    for (const sums of [...this.#steps.values(), ...this.#evaluations.values()]) all.plus(sums);
    if (all.n === 0) {
      throw new UserError(
        isAgainstRecorded && this.#withoutReward > 0
          ? "None of the recorded attempts has a reward to compare with. Name another reward instead: --against exact-match"
          : "None of the recorded attempts has its question, so nothing can be scored. They were recorded by another program, or an older version.",
      );
    }
    return {
      all: all.comparison(),
      parts: [...this.#stepParts(), ...[...this.#evaluations].map(([name, sums]) => ({ name, ...sums.comparison() }))],
      disagreements: this.#disagreements,
      suspicions: suspicions.flatMap(({ name, meaning }) => {
        const tally = this.#signs.get(name);
        if (tally === undefined) return [];
        const { attempts, reward, examples } = tally;
        const others = all.n - attempts;
        const meanOthers = others === 0 ? null : (this.#rewards - reward) / others;
        return [{ name, meaning, attempts, meanReward: reward / attempts, meanOthers, examples }];
      }),
      suspected: this.#suspected,
      skipped: this.#skipped,
      judgeFailures,
    };
  }

  #stepParts(): RescoreReport["parts"] {
    const steps = [...this.#steps].sort(([a], [b]) => a - b);
    const size = Math.max(1, Math.ceil(steps.length / mostParts));
    const parts: RescoreReport["parts"] = [];
    for (let start = 0; start < steps.length; start += size) {
      const part = steps.slice(start, start + size);
      const sums = new Sums();
      for (const [, each] of part) sums.plus(each);
      const [first, last] = [part[0][0], part[part.length - 1][0]];
      parts.push({ name: first === last ? `step ${first}` : `steps ${first}–${last}`, ...sums.comparison() });
    }
    return parts;
  }
}

function difference({ before, after }: Pick<Rescored, "before" | "after">): number {
  return after - before;
}

/** The first `count` by a measure, largest first; among equals the earlier ones. */
function best<T>(items: T[], count: number, measure: (item: T) => number): T[] {
  return items.sort((a, b) => measure(b) - measure(a)).slice(0, count);
}

function sumsAt<Key>(all: Map<Key, Sums>, key: Key): Sums {
  const sums = all.get(key) ?? new Sums();
  all.set(key, sums);
  return sums;
}
