import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sourceArguments } from "../../test/transpiled-sources.js";
import { readEvaluation, readRecords } from "../eval/folder.js";
import type { Evaluation } from "../eval/evaluation.js";
import { evaluationsTable, renderTable } from "../eval/table.js";
import { Random } from "../random.js";
import { evaluateOnce, type EvaluateOnceOptions } from "./evaluate.js";
import { tinyEvaluation } from "./tiny-run.test-support.js";

let root: string;
beforeAll(async () => {
  root = await mkdtemp(path.join(os.tmpdir(), "sleuth-evaluate-"));
});
afterAll(() => rm(root, { recursive: true }));

const evaluateTiny = (given: Partial<EvaluateOnceOptions> = {}) => {
  const { config, options } = tinyEvaluation();
  return evaluateOnce(config, { ...options, ...given });
};

/** Everything but times. */
function outcome(evaluation: Evaluation): unknown {
  const table = renderTable(evaluationsTable([{ name: "it", report: { ...evaluation, seconds: 0 } }]), "csv");
  const records = evaluation.records.map(({ trajectory, ...rest }) => {
    const { timing, searches, ...kept } = trajectory;
    void timing;
    return { ...rest, ...kept, queries: searches.map(({ query }) => query) };
  });
  return { table, records };
}

describe("an evaluation in a folder", () => {
  it("goes on where it was stopped, ends as it would have, and is then only read", async () => {
    const out = path.join(root, "stopped");
    const straight = await evaluateTiny();
    const stop = new AbortController();
    const onRecord = (_: unknown, done: number): void => void (done === 30 && stop.abort(new Error("enough")));
    await expect(evaluateTiny({ out, signal: stop.signal, onRecord })).rejects.toThrow("enough");
    const before = await readEvaluation(out);
    expect([before.report, before.spent.seconds > 0]).toEqual([null, true]);
    const kept = (await readRecords(out)).length;
    expect(kept).toBeGreaterThanOrEqual(30);
    expect(kept).toBeLessThan(120);

    let earlier = 0;
    const made: number[] = [];
    const onEarlier = (records: readonly unknown[]): void => void (earlier = records.length);
    const resumed = await evaluateTiny({ out, onEarlier, onRecord: (_, done) => made.push(done) });
    expect([earlier, made.length, made.at(-1)]).toEqual([kept, 120 - kept, 120]);
    expect(outcome(resumed.evaluation)).toEqual(outcome(straight.evaluation));
    expect(resumed.evaluation.passAt?.map(({ k }) => k)).toEqual([1, 2, 3]);

    const { options } = tinyEvaluation();
    await options.policy.close();
    const again = await evaluateTiny({ out, policy: options.policy });
    expect(again.wasFinished).toBe(true);
    expect(outcome(again.evaluation)).toEqual(outcome(straight.evaluation));
    await expect(evaluateTiny({ out, seed: 7 })).rejects.toThrow("differs in seed");
    await expect(evaluateTiny({ out, limit: 3 })).rejects.toThrow("differs in questions");
  });

  it("gives the same table after kills at random moments", { timeout: 60_000 }, async () => {
    const out = path.join(root, "killed");
    const random = new Random(Number(process.env.SLEUTH_KILL_SEED ?? 1), "kill");
    let kills = 0;
    for (let start = 0; start < 8; start++) {
      const output = await startAndKill(out, 10 + random.integer(40), random.integer(4));
      if (output.includes("finished")) break;
      if (!/^(\d+\n)+$/.test(output)) throw new Error(`the evaluation stopped by itself: ${output}`);
      kills++;
    }
    expect(kills).toBeGreaterThanOrEqual(2);
    const { evaluation } = await evaluateTiny({ out });
    expect(outcome(evaluation)).toEqual(outcome((await evaluateTiny()).evaluation));
    expect((await readFile(path.join(out, "attempts.jsonl"), "utf8")).trimEnd().split("\n")).toHaveLength(120);
  });
});

/** Starts the evaluation as a process, and kills it so many milliseconds after it has made so many attempts. */
function startAndKill(folder: string, attempts: number, delayMs: number): Promise<string> {
  const child = [...sourceArguments("train/killed-evaluation.test-support.ts"), folder];
  const running = spawn(process.execPath, child, { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  let timer: NodeJS.Timeout | undefined;
  running.stderr.on("data", (data: Buffer) => (output += data.toString()));
  running.stdout.on("data", (data: Buffer) => {
    output += data.toString();
    if (output.split("\n").length > attempts) timer ??= setTimeout(() => running.kill("SIGKILL"), delayMs);
  });
  return new Promise((resolve) => {
    running.on("close", () => {
      clearTimeout(timer);
      resolve(output);
    });
  });
}

it("says which questions the corpus can answer, where it is at hand", async () => {
  const { config, options } = tinyEvaluation();
  const corpus = path.join(root, "corpus.jsonl");
  await writeFile(corpus, '{"id":"1","contents":"Letters\\na is a letter, and so is bee."}\n');
  const questions = ["bee", "cee", "letter"].map((answer) => ({ id: answer, question: "which?", answers: [answer] }));
  const given = { ...options, attempts: 1, temperature: 0, questions };
  expect((await evaluateOnce(config, given)).evaluation.answerInCorpus).toBeUndefined();
  const { search, ...own } = given;
  void search;
  const { evaluation } = await evaluateOnce({ ...config, data: { corpus } }, own);
  expect(evaluation.answerInCorpus?.value).toBeCloseTo(2 / 3, 10);
  expect(evaluation.records.map(({ answerInCorpus }) => answerInCorpus)).toEqual([1, 0, 1]);
  const without = await evaluateOnce({ ...config, data: { corpus } }, { ...own, answerInCorpus: false });
  expect(without.evaluation.answerInCorpus).toBeUndefined();
});
