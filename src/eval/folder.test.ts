import { appendFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { traceToLine } from "../rollout/trace.js";
import type { Question } from "../types.js";
import {
  EvaluationFolder,
  headDifferences,
  isEvaluationFolder,
  questionsChecksum,
  readEvaluation,
  readRecords,
  readRecordsFile,
  recordLine,
} from "./folder.js";
import { headOf, recordOf, writeEvaluation } from "./folder.test-support.js";
import type { EvaluationReport } from "./evaluation.js";
import { perQuestion } from "./metrics.js";
import { evaluationsTable, renderTable } from "./table.js";

let root: string;
beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), "sleuth-evaluation-"));
});
afterAll(() => rm(root, { recursive: true }));
const at = (...names: string[]): string => path.join(root, ...names);

const questions: Question[] = ["a", "b", "c"].map((id) => ({ id, question: `${id}?`, answers: ["yes"], source: "q" }));
const [a, b, c] = questions;
const spent = { seconds: 1.5, costUsd: 0 };

describe("an evaluation's folder", () => {
  it("keeps attempts as they come, goes on behind a torn line, and gives them in order", async () => {
    const head = headOf(questions, { attempts: 2 });
    const first = await EvaluationFolder.open(at("kept"), head);
    expect(first.earlier).toEqual([]);
    await Promise.all([
      first.add(recordOf(b, "yes", { index: 1 })),
      first.add(recordOf(a, "no", { index: 0, attempt: 1 })),
      first.add(recordOf(a, "yes", { index: 0 })),
    ]);
    await expect(EvaluationFolder.open(at("kept"), head)).rejects.toThrow("is being written by process");
    await first.save(spent);
    await first.close();
    await appendFile(at("kept", "attempts.jsonl"), recordLine(recordOf(c, "yes", { index: 2 })).slice(0, -40));
    expect((await readRecords(at("kept"))).map(({ index, attempt }) => [index, attempt])).toEqual([
      [0, 0],
      [0, 1],
      [1, 0],
    ]);
    expect(await readEvaluation(at("kept"))).toEqual({ head, spent, report: null });

    const second = await EvaluationFolder.open(at("kept"), { ...head, startedAt: "later" });
    expect([second.earlier.length, second.spent]).toEqual([3, spent]);
    await second.add(recordOf(c, "yes", { index: 2 }));
    await second.close();
    const records = await readRecords(at("kept"));
    expect(records.map(({ question: { id }, trajectory: { answer } }) => [id, answer])).toEqual([
      ["a", "yes"],
      ["a", "no"],
      ["b", "yes"],
      ["c", "yes"],
    ]);
    expect([...perQuestion(records, "exactMatch").values()]).toEqual([0.5, 1, 1]);
  });

  it("is read with what came of it", async () => {
    const records = questions.map((question, index) => recordOf(question, index === 0 ? "yes" : null, { index }));
    await writeEvaluation(at("finished"), records);
    const { head, report } = await readEvaluation(at("finished"));
    expect([isEvaluationFolder(at("finished")), head.questions.checksum]).toEqual([true, questionsChecksum(questions)]);
    expect([report?.n, report?.exactMatch.value]).toEqual([3, 1 / 3]);
    expect(await readRecords(at("finished"))).toEqual(records);
  });

  it("is read where a measure is no number, which JSON writes as null, and has a dash in its table", async () => {
    const records = questions.map((question, index) => recordOf(question, "yes", { index }));
    await writeEvaluation(at("whole"), records);
    const whole = (await readEvaluation(at("whole"))).report as EvaluationReport;
    const report = { ...whole, exactMatch: { value: NaN, low: NaN, high: NaN } };
    await writeEvaluation(at("without"), records, { report });
    const read = (await readEvaluation(at("without"))).report as EvaluationReport;
    expect(read.exactMatch).toEqual(report.exactMatch);
    const rows = [whole, read].map((one) => renderTable(evaluationsTable([{ name: "it", report: one }]), "markdown"));
    expect(rows[0]).toContain("| exact match | 1.000 [");
    expect(rows[1]).toContain("| exact match | – |");
  });

  it("refuses what is no evaluation, another one, and a damaged one, by name", async () => {
    await expect(readEvaluation(at("nowhere"))).rejects.toThrow("is no evaluation: there is no evaluation.json in it");
    await writeFile(at("file"), "");
    await expect(EvaluationFolder.open(at("file"), headOf(questions))).rejects.toThrow("is a file");
    await expect(EvaluationFolder.open(root, headOf(questions))).rejects.toThrow("holds no evaluation");
    await writeEvaluation(at("other"), [recordOf(a, "yes")], { head: { seed: 3 } });
    await expect(EvaluationFolder.open(at("other"), headOf(questions))).rejects.toThrow("differs in seed, questions.");
    await appendFile(at("other", "attempts.jsonl"), '{"trajectory":{}}\n');
    await expect(readRecords(at("other"))).rejects.toThrow(/attempts\.jsonl:2: field trajectory\.questionId/);
    const text = await readFile(at("other", "evaluation.json"), "utf8");
    await writeFile(at("other", "evaluation.json"), text.replace('"attempts":1', '"attempts":0'));
    await expect(readEvaluation(at("other"))).rejects.toThrow('is damaged: field "head.attempts"');
  });
});

it("two evaluations differ in what changes attempts, and in nothing else", () => {
  const head = headOf(questions);
  const other = (settings: Record<string, Record<string, unknown>>) => headDifferences(head, { ...head, settings });
  expect(
    other({ search: { topK: 3 }, train: { steps: 9 }, run: { threads: 7 }, rollout: { maxConcurrent: 1 } }),
  ).toEqual([]);
  expect(other({ search: { topK: 5 } })).toEqual(["search.topK"]);
  const changed = headOf([{ ...a, answers: ["no"] }, b, c], { model: "mine", commit: "abc", startedAt: "now" });
  expect(headDifferences(head, changed)).toEqual(["model", "questions"]);
});

describe("a file of attempts", () => {
  it("of an earlier version has its scores computed, as they were", async () => {
    const { trajectory } = recordOf(a, "35");
    const question = { ...a, answers: ["3.5"] };
    const lines = [{ trajectory, question, reward: 1 }, { trajectory, question, exactMatch: 0 }, { trajectory }];
    await writeFile(at("old.jsonl"), lines.map((line) => `${traceToLine(line)}\n`).join(""));
    const records = await readRecordsFile(at("old.jsonl"));
    expect(
      records?.map(({ index, exactMatch, squadMatch, f1, reward }) => [index, exactMatch, squadMatch, f1, reward]),
    ).toEqual([
      [0, 1, 1, 0, 1],
      [1, 0, 1, 0, 0],
      [2, 0, 0, 0, 0],
    ]);
    expect(await readRecordsFile(at("none.jsonl"))).toBeNull();
  });
});
