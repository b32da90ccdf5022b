/**
 * @file An evaluation on file: a folder with `attempts.jsonl`, a journal of one attempt a line, and `evaluation.json`, which says what was evaluated
 * and, once it is finished, what came of it. An interrupted evaluation goes on from the journal.
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readdir, stat } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { UserError } from "../errors.js";
import { removeUnfinished, writeError, writeFileDurably } from "../files/durable.js";
import { appender, cutTornLine, wholeLines } from "../files/journal.js";
import { readJsonAs } from "../files/json-file.js";
import { isLockOf, takeLock, type Unlock } from "../files/lock.js";
import { traceFromLine, traceToLine } from "../rollout/trace.js";
import type { Question } from "../types.js";
import { recordOfTrace, reportSchema, type EvaluationRecord, type EvaluationReport } from "./evaluation.js";

const headName = "evaluation.json";
const attemptsName = "attempts.jsonl";
const lockName = "lock";

/** Settings by group and key. */
export type EvaluationSettings = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** What was evaluated, and how: everything that the attempts depend on. */
export interface EvaluationHead {
  /** `hf:ORG/NAME@COMMIT`, a path, a name, or what a server calls it. */
  model: string;
  /** A fingerprint of its weights, where they are on this machine; else empty. */
  weights: string;
  /** How a question is attempted: "search-r1", "rag", "direct", … */
  method: string;
  /** The search engine's name. */
  engine: string;
  /** In what frozen weights were multiplied, where the policy computed on this machine. */
  precision?: "int8" | "float32";
  /** The whole configuration, with what was measured for it. */
  settings: EvaluationSettings;
  questions: {
    /** A file, a folder or a name. */
    source: string;
    n: number;
    /** Of the questions, `questionsChecksum`. */
    checksum: string;
  };
  /** Of Sleuth, where it runs in its repository. */
  commit: string | null;
  seed: number;
  temperature: number;
  /** Attempts at each question. */
  attempts: number;
  /** ISO 8601. */
  startedAt: string;
}

/** What earlier processes took that stopped in order. */
export interface Spent {
  seconds: number;
  costUsd: number;
}

export interface SavedEvaluation {
  head: EvaluationHead;
  spent: Spent;
  /** Null until it is finished. */
  report: EvaluationReport | null;
}

const savedSchema = z.looseObject({
  head: z.looseObject({
    model: z.string(),
    weights: z.string(),
    method: z.string(),
    engine: z.string(),
    precision: z.enum(["int8", "float32"]).optional(),
    settings: z.record(z.string(), z.record(z.string(), z.unknown())),
    questions: z.object({ source: z.string(), n: z.int().nonnegative(), checksum: z.string() }),
    commit: z.string().nullable(),
    seed: z.number(),
    temperature: z.number(),
    attempts: z.int().positive(),
    startedAt: z.string(),
  }),
  spent: z.object({ seconds: z.number(), costUsd: z.number() }),
  report: reportSchema.nullable(),
}) as unknown as z.ZodType<SavedEvaluation>;

/** Whether a path is the folder of an evaluation. */
export function isEvaluationFolder(folder: string): boolean {
  return existsSync(path.join(folder, headName));
}

/**
 * What was evaluated, and what came of it.
 * @throws UserError when the folder holds none, or it is damaged
 */
export async function readEvaluation(folder: string): Promise<SavedEvaluation> {
  if (!isEvaluationFolder(folder))
    throw new UserError(
      `${folder} is no evaluation: there is no ${headName} in it. \`sleuth eval … --out ${folder}\` makes one.`,
    );
  return readJsonAs(
    path.join(folder, headName),
    savedSchema,
    "Delete it and evaluate again: attempts.jsonl alone does not say what was evaluated.",
  );
}

/**
 * Every attempt of an evaluation's folder, finished or not, in the order of the questions and of the attempts at each.
 * @throws UserError naming file, line and field of what is damaged
 */
export async function readRecords(folder: string): Promise<EvaluationRecord[]> {
  return (await readRecordsFile(path.join(folder, attemptsName))) ?? [];
}

/**
 * The same of a file of attempts: that of a folder, of `sleuth eval --out FILE.jsonl`, or of a run (`evaluations/after-greedy.jsonl`), also of earlier versions. Null where there is none.
 * @throws UserError as `readRecords`
 */
export async function readRecordsFile(file: string): Promise<EvaluationRecord[] | null> {
  if (!(await stat(file).catch(() => undefined))) return null;
  const records: EvaluationRecord[] = [];
  for await (const lines of wholeLines(file))
    for (const { text, number } of lines)
      records.push(recordOfTrace(traceFromLine(text, `${file}:${number}`), records.length));
  return inOrder(records);
}

function inOrder(records: EvaluationRecord[]): EvaluationRecord[] {
  return records.sort((a, b) => a.index - b.index || a.attempt - b.attempt);
}

/** The line of an attempt, with its line break. */
export function recordLine(record: EvaluationRecord): string {
  return `${traceToLine(record)}\n`;
}

/** SHA-256 over what a question is: its identity, its words and its answers, in their order. */
export function questionsChecksum(questions: readonly Question[]): string {
  const hash = createHash("sha256");
  for (const { source = "", id, question, answers } of questions)
    hash.update(`${JSON.stringify([source, id, question, answers])}\n`);
  return hash.digest("hex");
}

/** Settings of training, and those that change how fast an evaluation goes, and not what comes of it. */
const changeable = [
  /^(train|algorithm|critic|optimizer|watch|sft)\./,
  /^(data\.(questions|validation|test)|rollout\.maxConcurrent|run\.(folder|threads|memory|recompute))$/,
  /^(reward\.judge(Url|Concurrency|PerMinute|TimeoutMs|Cache)|server\.(url|concurrency|perMinute|timeoutMs|retries|inputPrice|outputPrice))$/,
];

/** What two evaluations differ in that changes the attempts: `model`, `questions`, `data.index`, … */
export function headDifferences(a: EvaluationHead, b: EvaluationHead): string[] {
  const own = (
    ["model", "weights", "method", "engine", "precision", "seed", "temperature", "attempts"] as const
  ).filter((name) => a[name] !== b[name]);
  const questions = a.questions.checksum === b.questions.checksum ? [] : ["questions"];
  const keysOf = ({ settings }: EvaluationHead): string[] =>
    Object.entries(settings).flatMap(([group, keys]) => Object.keys(keys).map((key) => `${group}.${key}`));
  const at = ({ settings }: EvaluationHead, name: string): string => {
    const [group, key] = name.split(".");
    return JSON.stringify(settings[group]?.[key]) ?? "";
  };
  const settings = [...new Set([...keysOf(a), ...keysOf(b)])].filter(
    (name) => !changeable.some((pattern) => pattern.test(name)) && at(a, name) !== at(b, name),
  );
  return [...own, ...questions, ...settings];
}

/** A folder that an evaluation writes; one process at a time. */
export class EvaluationFolder {
  readonly #folder: string;
  readonly #unlock: Unlock;
  #saved: SavedEvaluation;
  readonly #append: (records: readonly EvaluationRecord[]) => Promise<void>;
  /** Attempts of earlier processes. */
  readonly earlier: readonly EvaluationRecord[];

  private constructor(folder: string, unlock: Unlock, saved: SavedEvaluation, earlier: readonly EvaluationRecord[]) {
    this.#folder = folder;
    this.#unlock = unlock;
    this.#saved = saved;
    this.earlier = earlier;
    this.#append = appender(path.join(folder, attemptsName), advice);
  }

  /**
   * Begins an evaluation, or goes on with the same one.
   * @throws UserError when the folder holds something else, is in use, is damaged or cannot be written
   */
  static async open(folder: string, head: EvaluationHead): Promise<EvaluationFolder> {
    await refuseForeign(folder);
    const unlock = await takeLock(path.join(folder, lockName), ({ pid, host }) => {
      return new UserError(
        `${folder} is being written by process ${pid} on ${host}. Wait for it, or name another --out.`,
      );
    }).catch((error: unknown) => {
      throw writeError(folder, error, "Name another --out.");
    });
    try {
      await removeUnfinished(folder);
      const saved = isEvaluationFolder(folder) ? await readEvaluation(folder) : undefined;
      if (saved !== undefined) requireSame(folder, saved.head, head);
      else await write(folder, { head, spent: nothing, report: null });
      const file = path.join(folder, attemptsName);
      await cutTornLine(file);
      const earlier = (await readRecordsFile(file)) ?? [];
      return new EvaluationFolder(folder, unlock, saved ?? { head, spent: nothing, report: null }, earlier);
    } catch (error) {
      await unlock();
      throw error;
    }
  }

  /** What earlier processes took. */
  get spent(): Spent {
    return this.#saved.spent;
  }

  /** @throws UserError when the disk refuses */
  add(record: EvaluationRecord): Promise<void> {
    return this.#append([record]);
  }

  /** Writes what the evaluation has taken so far, and what came of it where it is finished. */
  async save(spent: Spent, report: EvaluationReport | null = null): Promise<void> {
    this.#saved = { ...this.#saved, spent, report };
    await write(this.#folder, this.#saved);
  }

  /** Waits for what is being written, and lets other processes in. */
  async close(): Promise<void> {
    try {
      await this.#append([]);
    } finally {
      await this.#unlock();
    }
  }
}

const nothing: Spent = { seconds: 0, costUsd: 0 };
const advice = "Make room, then start the same command again: it goes on.";

async function write(folder: string, saved: SavedEvaluation): Promise<void> {
  const file = path.join(folder, headName);
  try {
    await mkdir(folder, { recursive: true });
    await writeFileDurably(file, `${JSON.stringify(saved, null, 2)}\n`);
  } catch (error) {
    throw writeError(file, error, advice);
  }
}

/** Before the lock, so that none is put into somebody else's folder. */
async function refuseForeign(folder: string): Promise<void> {
  const what = await stat(folder).catch(() => undefined);
  if (what === undefined) return;
  if (!what.isDirectory())
    throw new UserError(`${folder} is a file. Name a folder for the evaluation, or a file that ends in .jsonl.`);
  const others = (await readdir(folder)).filter((name) => !isLockOf(lockName, name));
  if (others.length > 0 && !isEvaluationFolder(folder))
    throw new UserError(`${folder} is there, and holds no evaluation. Name another --out, or an empty folder.`);
}

/** @throws UserError where a folder holds another evaluation than the one that is asked for */
export function requireSame(folder: string, saved: EvaluationHead, head: EvaluationHead): void {
  const differences = headDifferences(saved, head);
  if (differences.length === 0) return;
  const shown = differences.slice(0, 5).join(", ") + (differences.length > 5 ? ", …" : "");
  throw new UserError(
    `${folder} holds another evaluation: it differs in ${shown}. Name another --out, or delete the folder to begin anew.`,
  );
}
