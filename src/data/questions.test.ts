import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { UserError } from "../errors.js";
import { loadQuestions, partsOf } from "./questions.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "sleuth-questions-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function load(text: string, name = "dev.jsonl") {
  const file = path.join(folder, name);
  await writeFile(file, text);
  return loadQuestions(file);
}

const good = '{"id":"a","question":"Capital of Peru?","answers":["Lima"]}';

describe("questions from JSONL", () => {
  it("reads the native form, Search-R1's form and numeric ids", async () => {
    const text = [
      good,
      "",
      '{"id":"b","question":"Two?","golden_answers":["x","y"],"hops":2,"source":"nq"}\r',
      '{"id":7,"question":"Three?","answers":["z"]}',
    ].join("\n");
    expect(await load(text)).toEqual([
      { id: "a", question: "Capital of Peru?", answers: ["Lima"], source: "dev.jsonl" },
      { id: "b", question: "Two?", answers: ["x", "y"], hops: 2, source: "nq" },
      { id: "7", question: "Three?", answers: ["z"], source: "dev.jsonl" },
    ]);
  });

  it.each([
    ["broken JSON", `${good}\n{"question":`, /bad\.jsonl:2: .*JSON/],
    ["not an object", `${good}\n[1]`, /bad\.jsonl:2: the line must be a JSON object/],
    ["no question", '{"id":"a","answers":["x"]}', /bad\.jsonl:1: field "question"/],
    ["no answers", '{"id":"a","question":"q"}', /bad\.jsonl:1: field "answers"/],
    ["empty answers", '{"id":"a","question":"q","golden_answers":[]}', /bad\.jsonl:1: field "golden_answers"/],
    ["empty answer", '{"id":"a","question":"q","answers":["x"," "]}', /bad\.jsonl:1: field "answers"/],
    ["no id", '{"question":"q","answers":["x"]}', /bad\.jsonl:1: field "id"/],
    ["bad hops", '{"id":"a","question":"q","answers":["x"],"hops":0}', /bad\.jsonl:1: field "hops"/],
    ["bad evidence", '{"id":"a","question":"q","answers":["x"],"evidence":["7"]}', /bad\.jsonl:1: field "evidence"/],
    ["repeated id", `${good}\n${good}`, /bad\.jsonl:2: field "id": "a" .* at .*bad\.jsonl:1/],
    ["empty file", "\n\n", /holds no question.*A line looks like/],
  ])("%s: a UserError that names the place", async (_, text, message) => {
    const attempt = load(text, "bad.jsonl");
    await expect(attempt).rejects.toThrow(message);
    await expect(attempt).rejects.toBeInstanceOf(UserError);
  });

  it("keeps what a question was made from", async () => {
    const made = {
      id: "a",
      question: "q",
      answers: ["x"],
      hops: 2,
      kind: "table",
      evidence: [{ id: "7", url: "u#v" }],
    };
    expect(await load(JSON.stringify(made))).toEqual([{ ...made, source: "dev.jsonl" }]);
  });

  it("of a folder, those of a part; a part may be empty, but not that for training; a missing one is named", async () => {
    const parts = path.join(folder, "parts");
    await mkdir(parts);
    await writeFile(path.join(parts, "train.jsonl"), good);
    await writeFile(path.join(parts, "validation.jsonl"), "");
    expect(await loadQuestions(parts)).toMatchObject([{ id: "a", source: "train.jsonl" }]);
    expect(await loadQuestions(parts, "validation")).toEqual([]);
    await expect(loadQuestions(parts, "test")).rejects.toThrow(/parts has no test\.jsonl/);
    await writeFile(path.join(parts, "train.jsonl"), "\n");
    await expect(loadQuestions(parts)).rejects.toThrow(/train\.jsonl holds no question/);
  });

  it("of a set: FlashRAG's ids stay, and the parts that a folder has are named", async () => {
    const testdata = new URL("sets/testdata/flashrag/nq/test.jsonl", import.meta.url);
    const [first] = await loadQuestions(fileURLToPath(testdata));
    expect(first).toEqual({
      id: "test_0",
      question: "who was the first keeper of skerry point",
      answers: ["Ivar Lund"],
      source: "test.jsonl",
    });
    const two = path.join(folder, "two");
    await mkdir(two);
    await expect(partsOf(two)).rejects.toThrow(/two has no train\.jsonl/);
    for (const part of ["train", "test"]) await writeFile(path.join(two, `${part}.jsonl`), good);
    expect(await partsOf(two)).toEqual(["train", "test"]);
  });

  it("a missing file: a UserError", async () => {
    await expect(loadQuestions(path.join(folder, "none.jsonl"))).rejects.toBeInstanceOf(UserError);
  });
});
