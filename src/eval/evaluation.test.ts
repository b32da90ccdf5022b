import { describe, expect, it } from "vitest";
import { scriptedPolicy } from "../policy/scripted.js";
import { byteTokenizer } from "../policy/testing.js";
import { atlas } from "../prompts/protocol.js";
import { exactMatch } from "../rewards/answers.js";
import { NoneEngine } from "../search/controls.js";
import type { Question, Trajectory } from "../types.js";
import { searchEnvironment } from "../rollout/environment.js";
import { summarize, toReport, type EvaluationRecord } from "./evaluation.js";
import { runEvaluation } from "./run-evaluation.js";
import { evaluationMarkdown, evaluationTable } from "./table.js";

const questions: Question[] = [
  { id: "1", question: "one", answers: ["yes"], hops: 1 },
  { id: "2", question: "two", answers: ["yes"], hops: 2 },
  { id: "3", question: "three", answers: ["no"], hops: 2 },
  { id: "4", question: "four", answers: ["yes"], hops: 1 },
];

/** Searches as often as the question's hops say, then answers yes; gives up on question four. */
const policy = scriptedPolicy({
  tokenizer: byteTokenizer(atlas),
  script: (prefix) => {
    if (prefix.includes("four")) return "I give up";
    const searches = prefix.split("<search>").length - 1;
    return prefix.includes("one")
      ? "<answer>yes</answer>"
      : searches < 3
        ? "<search>x</search>"
        : "<answer>yes</answer>";
  },
});

const task = {
  environment: searchEnvironment({
    search: new NoneEngine(),
    protocol: atlas,
    topK: 1,
    maxSearches: 4,
    maxTokensPerTurn: 40,
    maxTokens: 400,
    maxObservationTokens: 40,
  }),
  reward: exactMatch,
  exactMatch,
};

describe("runEvaluation", () => {
  it("counts right answers, searches and endings, over all and per hop", async () => {
    const progress: number[] = [];
    const evaluation = await runEvaluation(policy, task, questions, { onProgress: (done) => progress.push(done) });
    expect(evaluation.n).toBe(4);
    expect(evaluation.exactMatch.value).toBe(0.5);
    expect(evaluation.answered.value).toBe(0.75);
    expect(evaluation.searchesPerQuestion.value).toBe(1.5);
    expect(evaluation.searchesToNeeded).toBe(1);
    expect(evaluation.finish.malformed).toBe(0.25);
    expect(evaluation.perHop.map(({ hops, summary }) => [hops, summary.n, summary.exactMatch.value])).toEqual([
      [1, 2, 0.5],
      [2, 2, 0.5],
    ]);
    expect(evaluation.records.map((record) => record.question.id)).toEqual(["1", "2", "3", "4"]);
    expect(progress).toEqual([1, 2, 3, 4]);
    expect(Object.keys(toReport(evaluation))).not.toContain("records");
  });

  it("gives every question its own seed, which depends on the run's seed and on nothing else", async () => {
    const seedsOf = async (asked: readonly Question[], seed: number) => {
      const before = policy.calls.length;
      await runEvaluation(policy, task, asked, { temperature: 1, seed });
      const first = policy.calls.slice(before).filter((call) => !call.prefixText.includes("<search>"));
      return new Map(first.map((call) => [call.prefixText, call.options.seed]));
    };
    const all = await seedsOf(questions, 1);
    expect(new Set(all.values()).size).toBe(4);
    expect(await seedsOf([...questions].reverse(), 1)).toEqual(new Map([...all].reverse()));
    expect(await seedsOf(questions, 2)).not.toEqual(all);
  });

  it("stops when aborted, with the signal's reason", async () => {
    const controller = new AbortController();
    const work = runEvaluation(policy, task, questions, {
      signal: controller.signal,
      onProgress: () => controller.abort(new Error("enough")),
    });
    await expect(work).rejects.toThrow("enough");
  });
});

describe("summarize", () => {
  it("says nothing about needed searches where a question does not know them", () => {
    const trajectory: Trajectory = {
      questionId: "1",
      segments: [],
      searches: [],
      answer: "yes",
      finishReason: "answered",
      texts: [],
      timing: { policyMs: 0, searchMs: 0 },
    };
    const record: EvaluationRecord = {
      question: { ...questions[0], hops: undefined },
      trajectory,
      exactMatch: 1,
      squadMatch: 1,
      reward: 1,
    };
    expect(summarize([record]).searchesToNeeded).toBeNull();
    expect(summarize([]).exactMatch).toEqual({ value: 0, low: 0, high: 1 });
  });
});

describe("tables", () => {
  it("line up, in text and in Markdown", async () => {
    const report = toReport(await runEvaluation(policy, task, questions));
    const columns = [
      { name: "before", report },
      { name: "after", report },
    ];
    expect(evaluationTable(columns)).toMatchInlineSnapshot(`
      "                       before                    after
      ─────────────────────────────────────────────────────────────────────────
      exact match            0.500 [0.150, 0.850]      0.500 [0.150, 0.850]
        1 hop                0.500 [0.095, 0.905] n=2  0.500 [0.095, 0.905] n=2
        2 hops               0.500 [0.095, 0.905] n=2  0.500 [0.095, 0.905] n=2
      em/squad               0.500 [0.150, 0.850]      0.500 [0.150, 0.850]
      answered               0.750 [0.301, 0.954]      0.750 [0.301, 0.954]
      searches per question  1.50                      1.50
      searches ÷ needed      1.00                      1.00
      questions              4                         4
      "
    `);
    expect(evaluationMarkdown(columns).split("\n")[0]).toBe("|  | before | after |");
  });
});
