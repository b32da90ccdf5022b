import { describe, expect, it } from "vitest";
import { Bm25Engine } from "../search/bm25/engine.js";
import type { Question } from "../types.js";
import { oracleEngine } from "./oracle.js";

const passages = [
  { id: "lima", title: "Lima", text: "Lima is the capital of Peru." },
  { id: "peru", title: "Peru", text: "In Peru people pay with the Peruvian sol." },
  { id: "sol", title: "Sol", text: "The Peruvian sol has replaced the inti." },
  { id: "chile", title: "Chile", text: "The capital of Chile is Santiago." },
];
const engine = Bm25Engine.fromPassages(passages);
const asked: Question = { id: "q", question: "Which currency has the capital Lima?", answers: ["Peruvian sol"] };
const idsOf = async (question: Question, k: number, query = "nonsense"): Promise<string[]> =>
  (await oracleEngine(engine, question).searchBatch([query], k))[0].map(({ id }) => id);

describe("an oracle of a question", () => {
  it("finds the passages that hold an answer, whatever is asked", async () => {
    expect((await idsOf(asked, 3)).sort()).toEqual(["peru", "sol"]);
    expect(await idsOf(asked, 1, "Chile")).toHaveLength(1);
  });

  it("finds the question's evidence first, what holds an answer before what leads to it", async () => {
    const evidence = [{ id: "lima" }, { id: "peru" }];
    expect(await idsOf({ ...asked, evidence }, 3)).toEqual(["peru", "lima", "sol"]);
  });

  it("finds nothing where no passage holds an answer", async () => {
    expect(await idsOf({ ...asked, answers: ["escudo"] }, 3)).toEqual([]);
  });

  it("asks the engine once, and again after a failure", async () => {
    let calls = 0;
    const failing = {
      ...{ name: "failing", close: () => Promise.resolve() },
      searchBatch: (queries: readonly string[], k: number) =>
        ++calls === 1 ? Promise.reject(new Error("down")) : engine.searchBatch(queries, k),
    };
    const oracle = oracleEngine(failing, asked);
    await expect(oracle.searchBatch(["a"], 1)).rejects.toThrow("down");
    expect(await oracle.searchBatch(["a", "b"], 2)).toHaveLength(2);
    await oracle.searchBatch(["c"], 2);
    expect(calls).toBe(2);
  });
});
