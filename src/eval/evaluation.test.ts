import { describe, expect, it } from "vitest";
import { scriptedPolicy } from "../policy/scripted.js";
import { byteTokenizer } from "../policy/testing.js";
import { atlas } from "../prompts/protocol.js";
import { exactMatch } from "../rewards/answers.js";
import { NoneEngine } from "../search/controls.js";
import type { Question } from "../types.js";
import { searchEnvironment } from "../rollout/environment.js";
import { summarize, toEvaluation, toReport, type EvaluationRecord } from "./evaluation.js";
import { runEvaluation } from "./run-evaluation.js";
import { recordOf } from "./folder.test-support.js";

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

  it("leaves out a question whose prompt does not fit, and names it", async () => {
    const long = { id: "long", question: "word ".repeat(200), answers: ["yes"], hops: 1 };
    const evaluation = await runEvaluation(policy, task, [questions[0], long, questions[1]]);
    expect(evaluation).toMatchObject({
      n: 2,
      skipped: [{ id: "long", why: expect.stringContaining("no room") as string }],
    });
    expect(evaluation.records.map(({ question, index }) => [question.id, index])).toEqual([
      ["1", 0],
      ["2", 2],
    ]);
  });

  it("makes several attempts, each with its own seed, and none of those that were made before", async () => {
    const kept: EvaluationRecord[] = [];
    const options = { temperature: 1, attempts: 3 };
    const whole = await runEvaluation(policy, task, questions, {
      ...options,
      onRecord: (record) => void kept.push(record),
    });
    expect(whole).toMatchObject({ n: 4, attempts: 3, passAt: [{ k: 1 }, { k: 2 }, { k: 3 }] });
    const seeds = (from: number) => new Set(policy.calls.slice(from).map(({ options: { seed } }) => seed));
    expect(seeds(policy.calls.length - 12).size).toBe(12);
    const before = policy.calls.length;
    const progress: number[] = [];
    const rest = await runEvaluation(policy, task, questions, {
      ...options,
      earlier: kept.filter(({ index, attempt }) => index !== 0 || attempt !== 2),
      onProgress: (done) => progress.push(done),
    });
    expect([policy.calls.length - before, progress]).toEqual([1, [12]]);
    expect({ ...rest, records: [], seconds: 0 }).toEqual({ ...whole, records: [], seconds: 0 });
  });

  it("asks a judge of every attempt, beside the reward", async () => {
    const judge = ({ id }: Question): Promise<number> => Promise.resolve(id === "4" ? 1 : 0.5);
    const { judge: judged, records } = await runEvaluation(policy, { ...task, judge }, questions);
    expect([judged?.value, records.map((record) => record.judge)]).toEqual([0.625, [0.5, 0.5, 0.5, 1]]);
  });
});

describe("summarize", () => {
  it("says nothing about needed searches where a question does not know them", () => {
    const record = recordOf({ ...questions[0], hops: undefined }, "yes");
    expect(summarize([record]).searchesToNeeded).toBeNull();
    expect(summarize([]).exactMatch).toEqual({ value: 0, low: 0, high: 1 });
  });

  it("has every score for itself", () => {
    const ask = (answers: string[]): Question => ({ id: answers[0], question: "?", answers });
    const passage = { id: "1", title: "Peru", text: "It pays in sol.", score: 1 };
    const search = { query: "?", passages: [passage], omittedPassages: 0, sanitized: 0, waitedMs: 1 };
    const records = [
      recordOf(ask(["sol"]), "the Peruvian sol", { index: 0, searches: [search], answerInCorpus: 1 }),
      recordOf(ask(["3.5"]), "35", { index: 1, answerInCorpus: 0 }),
    ];
    const { exactMatch, squadMatch, f1, coverMatch, answerShown, answerInCorpus, judge } = summarize(records);
    expect([exactMatch, squadMatch, f1, coverMatch, answerShown, answerInCorpus].map((one) => one?.value)).toEqual([
      ...[0, 0.5, 1 / 3, 0.5, 0.5, 0.5],
    ]);
    expect(judge).toBeUndefined();
  });

  it("averages attempts within questions first, and draws questions for the interval", () => {
    const attemptsAt = (index: number, right: number): EvaluationRecord[] =>
      [0, 1, 2, 3].map((attempt) =>
        recordOf(questions[index], attempt < right ? questions[index].answers[0] : "?", { index, attempt }),
      );
    const { n, exactMatch } = summarize([0, 1, 2, 3].flatMap((index) => attemptsAt(index, index)));
    expect([n, exactMatch.value]).toEqual([4, 6 / 16]);
    // Sixteen independent attempts would have a Wilson interval of half the width of the questions' own differences.
    expect(exactMatch.low).toBe(0.125);
  });

  it("divides by dataset, where there are several", () => {
    const of = (source: string, index: number, answer: string): EvaluationRecord =>
      recordOf({ ...questions[0], source }, answer, { index });
    const records = [of("nq/test", 0, "yes"), of("nq/test", 1, "no"), of("hotpotqa/dev", 2, "no")];
    const { perSource } = toEvaluation(records, { temperature: 0, seconds: 1 });
    expect(perSource?.map(({ source, summary }) => [source, summary.n, summary.exactMatch.value])).toEqual([
      ["nq/test", 2, 0.5],
      ["hotpotqa/dev", 1, 0],
    ]);
    expect(toEvaluation(records.slice(0, 2), { temperature: 0, seconds: 1 }).perSource).toBeUndefined();
  });
});
