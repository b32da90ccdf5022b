import { describe, expect, it } from "vitest";
import { Bm25Engine } from "../search/bm25/engine.js";
import type { PassageList, SearchEngine } from "../search/engine.js";
import type { Question } from "../types.js";
import { findAnswers, hitRate, type HitOptions, type QuestionHit } from "./hits.js";

const passages = [
  { id: "1", title: "Peru", text: "The capital of Peru is Lima." },
  { id: "2", title: "Lima", text: "A city at the ocean." },
  { id: "3", title: "秘鲁", text: "秘鲁的首都是利马。" },
  { id: "4", title: "Currency", text: "The currency of Peru is the sol, not the solution." },
  { id: "5", title: "Area", text: "It covers 1,285,216 km² of Peru." },
];

function ask(question: string, ...answers: string[]): Question {
  return { id: question, question, answers };
}

async function all(engine: SearchEngine, questions: readonly Question[], options?: HitOptions): Promise<QuestionHit[]> {
  const hits: QuestionHit[] = [];
  for await (const hit of findAnswers(engine, questions, options)) hits.push(hit);
  return hits;
}

/** Finds all passages in their order, whatever is asked; remembers the calls. */
function listing(found: PassageList = passages.map((passage) => ({ ...passage, score: 1 }))) {
  const calls: string[][] = [];
  const engine: SearchEngine = {
    name: "listing",
    searchBatch: async (queries, k) => {
      calls.push([...queries]);
      return queries.map(() => Object.assign(found.slice(0, k), { refused: found.refused }));
    },
    close: async () => {},
  };
  return { engine, calls };
}

describe("findAnswers", () => {
  it.each([
    ["in a text", ["Lima"], 1],
    ["in a title", ["lima."], 1],
    ["one of several answers", ["Cuzco", "the Sol"], 4],
    ["in a script without spaces", ["利马"], 3],
    ["a number however it is grouped", ["1285216"], 5],
    ["not inside of a word", ["solut"], null],
    ["words side by side only", ["Lima Peru capital"], null],
    ["not an answer without words", ["", "  "], null],
  ])("ranks the first passage with an answer: %s", async (_, answers, rank) => {
    const [hit] = await all(listing().engine, [ask("?", ...answers)]);
    expect(hit.rank).toBe(rank);
  });

  it("looks no further than k passages", async () => {
    const { engine } = listing();
    expect((await all(engine, [ask("?", "sol")], { k: 3 }))[0]).toMatchObject({ rank: null, passages: { length: 3 } });
    expect((await all(engine, [ask("?", "sol")], { k: 4 }))[0]).toMatchObject({ rank: 4 });
  });

  it("asks in batches and keeps the order of the questions", async () => {
    const { engine, calls } = listing();
    const questions = Array.from({ length: 7 }, (_, place) => ask(`q${place}`, "Lima"));
    const hits = await all(engine, questions, { batch: 3 });
    expect(hits.map(({ question }) => question.id)).toEqual(questions.map(({ id }) => id));
    expect(calls.map(({ length }) => length)).toEqual([3, 3, 1]);
    expect(await all(engine, [])).toEqual([]);
  });

  it("ranks the passages that a question was made from, where it names them", async () => {
    const { engine } = listing();
    const known = { ...ask("?", "Lima"), evidence: [{ id: "9" }, { id: "4" }] };
    const hits = await all(engine, [known, { ...known, evidence: [{ id: "9" }] }, ask("?", "Lima")]);
    expect(hits.map(({ evidenceRank }) => evidenceRank)).toEqual([4, null, undefined]);
  });

  it("agrees with a real engine", async () => {
    const engine = Bm25Engine.fromPassages(passages);
    const hits = await all(engine, [ask("capital of Peru", "Lima"), ask("ocean", "sol"), ask("currency Peru", "sol")]);
    expect(hits.map(({ rank }) => rank)).toEqual([1, null, 1]);
    await engine.close();
  });

  it("says which query was refused", async () => {
    const { engine } = listing(Object.assign([], { refused: "too long" }));
    expect(await all(engine, [ask("?", "Lima")])).toMatchObject([{ rank: null, refused: "too long" }]);
  });

  it("ends with the engine's failure, and with the signal's reason", async () => {
    const broken: SearchEngine = {
      name: "broken",
      searchBatch: () => Promise.reject(new Error("gone")),
      close: async () => {},
    };
    await expect(all(broken, [ask("?", "a")])).rejects.toThrow("gone");
    const silent: SearchEngine = { ...broken, searchBatch: () => new Promise(() => {}) };
    await expect(all(silent, [ask("?", "a")], { timeoutMs: 5 })).rejects.toThrow("no answer within 5 ms");
    const wrong: SearchEngine = { ...broken, searchBatch: () => Promise.resolve([]) };
    await expect(all(wrong, [ask("?", "a")])).rejects.toThrow("answered 1 queries with 0 results");
    const signal = AbortSignal.abort(new Error("enough"));
    await expect(all(listing().engine, [ask("?", "a")], { signal })).rejects.toThrow("enough");
  });
});

it("hit@k counts ranks up to k, with an interval", () => {
  const hits = [1, 2, 3, 4, null, null, 1, 10];
  expect([1, 3, 10].map((k) => hitRate(hits, k).value)).toEqual([2 / 8, 4 / 8, 6 / 8]);
  const { low, high } = hitRate(hits, 3);
  expect([low < 0.5, high > 0.5]).toEqual([true, true]);
  expect(hitRate([], 1)).toEqual({ value: 0, low: 0, high: 1 });
});
