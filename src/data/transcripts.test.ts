import { describe, expect, it } from "vitest";
import { searchR1 } from "../prompts/protocol.js";
import { parseTranscript } from "./transcripts.js";

const search = { role: "policy", text: "<think> I need it. </think>\n<search> capital of Peru </search>" };
const found = { role: "environment", passages: [{ title: "Peru", text: "Lima is the capital of Peru." }] };
const answer = { role: "policy", text: "<answer> Lima </answer>" };
const good = { id: 7, question: "What is the capital of Peru?", answers: ["Lima"], turns: [search, found, answer] };

const parse = (record: Record<string, unknown>) => parseTranscript("file.jsonl:3", record, searchR1);

describe("a transcript", () => {
  it("is a question and turns; its id may be a number, its answers may be missing", () => {
    expect(parse(good)).toEqual({ ...good, id: "7", place: "file.jsonl:3" });
    expect(parse({ ...good, answers: undefined }).answers).toEqual([]);
    expect(parse({ ...good, turns: [answer] }).turns).toEqual([answer]);
  });

  it("may hold what a search brought as text, with or without its tags, or a failure", () => {
    const inTags = { role: "environment", text: "\n<information> Lima. </information>\n" };
    expect(parse({ ...good, turns: [search, inTags, answer] }).turns[1]).toEqual({
      role: "environment",
      text: " Lima. ",
    });
    const failed = { role: "environment", error: "timeout" };
    expect(parse({ ...good, turns: [search, failed, search, found, answer] }).turns[1]).toEqual(failed);
  });

  it.each([
    [{ ...good, id: "" }, 'field "id"'],
    [{ ...good, question: "  " }, 'field "question"'],
    [{ ...good, answers: "Lima" }, 'field "answers"'],
    [{ ...good, turns: [] }, 'field "turns" must be a list of at least one turn'],
    [{ ...good, turns: ["hello"] }, 'field "turns[0]" must be an object'],
    [{ ...good, turns: [{ role: "assistant", text: "x" }] }, 'field "turns[0].role"'],
    [{ ...good, turns: [{ role: "policy" }] }, 'field "turns[0].text" must be text'],
    [{ ...good, turns: [found, answer] }, 'field "turns[0].role" must be "policy"'],
    [{ ...good, turns: [search, answer] }, 'field "turns[1].role" must be "environment"'],
    [{ ...good, turns: [search, found] }, 'field "turns[1]" is the last turn'],
    [{ ...good, turns: [search] }, "is the last turn, which must be an answer"],
    [{ ...good, turns: [answer, found, answer] }, "is an answer, and an answer ends the transcript"],
    [{ ...good, turns: [{ role: "policy", text: "Lima" }] }, "must end with </search> or </answer>"],
    [
      { ...good, turns: [{ role: "policy", text: "<answer> Lima </answer> Bye" }] },
      'goes on with " Bye" after its first closing tag',
    ],
    [
      { ...good, turns: [{ role: "policy", text: "<search> a </search> <answer> Lima </answer>" }] },
      "after its first closing tag",
    ],
    [{ ...good, turns: [{ role: "policy", text: "Lima </answer>" }] }, "closes a tag that it never opened"],
    [{ ...good, turns: [{ role: "policy", text: "<search> </search>" }, found, answer] }, "holds an empty search"],
    [{ ...good, turns: [search, { role: "environment" }, answer] }, "exactly one of passages, text and error"],
    [{ ...good, turns: [search, { role: "environment", text: "x", error: "y" }, answer] }, "exactly one of"],
    [{ ...good, turns: [search, { role: "environment", passages: [{ title: "x" }] }, answer] }, "passages[0].text"],
    [
      { ...good, turns: [search, found, search, { role: "environment", text: "x" }, answer] },
      "holds environment turns with text and others with passages",
    ],
  ])("%# is refused by file, line and field", (record, message) => {
    expect(() => parse(record)).toThrow(/^file\.jsonl:3: field "/);
    expect(() => parse(record)).toThrow(message);
    expect(() => parse(record)).toThrow("A line looks like");
  });
});
