/** @file Replies of servers, read as turns. */
import { describe, expect, it } from "vitest";
import { searchR1 } from "../../prompts/protocol.js";
import { byteTokenizer } from "../testing.js";
import { readReply } from "./reply.js";
import { areOf, endedIds, endedText } from "./turn.js";

const pairs = [searchR1.search, searchR1.answer];
const stops = ["</search>", "</answer>"];
const tokenizer = byteTokenizer();

describe("a turn in text", () => {
  it.each<[string, Partial<Parameters<typeof endedText>[0]>, string, string?]>([
    ["<search> a b ", {}, "<search> a b </search>"],
    ["<search> a b \n", {}, "<search> a b \n</search>"],
    ["<think> t </think><answer>Paris", {}, "<think> t </think><answer>Paris</answer>"],
    ["<search> a </search> and more", {}, "<search> a </search>"],
    ["<search> a </search><answer> b </answer>", {}, "<search> a </search>"],
    ["<answer> a <search> b", {}, "<answer> a <search> b</answer>"],
    ["nothing of the kind", {}, "nothing of the kind"],
    ["", {}, ""],
    // Cut by its length, it stands open.
    ["<search> a b", { stopReason: "length" }, "<search> a b", "length"],
    // A server that names the stop string, or says that there was none, is believed.
    ["<search> a b ", { stoppedAt: "</search>" }, "<search> a b </search>"],
    ["I stop here. ", { stoppedAt: "</answer>" }, "I stop here. </answer>"],
    ["<search> a b ", { stoppedAt: null }, "<search> a b "],
    ["<search> a b ", { stoppedAt: "<|im_end|>" }, "<search> a b "],
    ["<search> a </search> and on", { stopReason: "length" }, "<search> a </search>", "stop"],
  ])("%j %j ends as a rollout needs it", (text, more, expected, stopReason = more.stopReason ?? "stop") => {
    const ended = endedText({ text, stopReason: "stop", ...more }, stops, pairs);
    expect(ended).toMatchObject({ text: expected, stopReason });
  });

  it("that went on past its stop string is told from one that ended there", () => {
    const ranOn = (text: string): boolean => endedText({ text, stopReason: "stop" }, stops, pairs).ranOn;
    expect(["<search> a </search>", "<search> a </search>\n", "<search> a </search> b"].map(ranOn)).toEqual([
      false,
      false,
      true,
    ]);
  });

  it("where no stop strings are asked for, nothing is put back", () => {
    expect(endedText({ text: "<answer> a", stopReason: "stop" }, [], pairs).text).toBe("<answer> a");
  });
});

describe("a turn in ids", () => {
  const cut = (text: string, stop: Parameters<typeof endedIds>[2]): string => {
    const { ids, stopReason, ranOn } = endedIds(tokenizer.encode(text), "length", stop, tokenizer);
    return `${tokenizer.decode(ids)}|${stopReason}|${ranOn}`;
  };
  it.each<[string, Parameters<typeof endedIds>[2], string]>([
    ["ab stop cd", { strings: ["stop"] }, "ab stop|stop|true"],
    ["ab stop", { strings: ["stop", "b"] }, "ab|stop|true"],
    ["ab<|endoftext|>cd", { tokens: [256], strings: ["cd"] }, "ab<|endoftext|>|stop|true"],
    ["ab<|endoftext|>", { tokens: [256] }, "ab<|endoftext|>|stop|false"],
    ["äöü€", { strings: ["ö"] }, "äö|stop|true"],
    ["ab", { tokens: [256], strings: ["c"] }, "ab|length|false"],
    ["ab", {}, "ab|length|false"],
  ])("%j %j ends at its first stop condition, which is kept", (text, stop, expected) => {
    expect(cut(text, stop)).toBe(expected);
  });

  it.each<[string, string, boolean]>([
    ["<answer> a </answer>", "<answer> a ", true],
    ["<answer> a </answer>", " a", true],
    ["a<|endoftext|>", "a", true],
    ["€", "\ufffd", true],
    ["ab", "abc", true],
    ["ab", "ac", false],
  ])("%j are of %j: %j", (written, text, expected) => {
    expect(areOf(tokenizer.encode(written), text, tokenizer)).toBe(expected);
  });
});

describe("a reply", () => {
  const read = (choice: object, more: object = {}) =>
    readReply(JSON.stringify({ choices: [choice], ...more }), (text) => text);
  it.each<[string, object, object]>([
    [
      "vLLM's, at a stop string",
      { text: "a", finish_reason: "stop", stop_reason: "</a>" },
      { text: "a", stoppedAt: "</a>" },
    ],
    ["vLLM's, at an end of text", { text: "a", finish_reason: "stop", stop_reason: null }, { stoppedAt: null }],
    ["vLLM's, at a stop token", { text: "a", finish_reason: "stop", stop_reason: 7 }, { stoppedAt: null }],
    ["SGLang's", { text: "a", finish_reason: "stop", matched_stop: "</a>" }, { stoppedAt: "</a>" }],
    ["llama.cpp's", { text: "a", finish_reason: "stop" }, { stoppedAt: undefined }],
    ["without a reason", { text: "a" }, { stopReason: "stop" }],
    [
      "of a tool's call",
      { message: { content: null, tool_calls: [] }, finish_reason: "tool_calls" },
      { text: "", stopReason: "stop" },
    ],
    [
      "in parts",
      { message: { content: [{ type: "text", text: "a" }, { type: "image" }, { text: "b" }] } },
      { text: "ab" },
    ],
    ["with a thought", { message: { content: "a", reasoning_content: "t" } }, { text: "a", thought: "t" }],
    [
      "with ids",
      { text: "a", token_ids: [1, 2], logprobs: { token_logprobs: [-1, -2] } },
      { ids: [1, 2], logprobs: [-1, -2] },
    ],
    [
      "with ids as words",
      { text: "a", logprobs: { tokens: ["token_id:5", "token_id:6"], token_logprobs: [-1, -2] } },
      { ids: [5, 6], logprobs: [-1, -2] },
    ],
    [
      "with ids beside log-probabilities",
      { text: "a", logprobs: { content: [{ id: 5, logprob: -1 }] } },
      { ids: [5], logprobs: [-1] },
    ],
    [
      "with words alone",
      { text: "a", logprobs: { tokens: ["a"], token_logprobs: [-1] } },
      { ids: undefined, logprobs: undefined },
    ],
    [
      "with empty log-probabilities",
      { text: "a", token_ids: [1], logprobs: { content: [] } },
      { ids: [1], logprobs: undefined },
    ],
    ["with null", { text: "a", token_ids: null, logprobs: null }, { ids: undefined }],
  ])("%s", (_, choice, expected) => {
    const { text, thought, stopReason, stoppedAt, ids, logprobs } = read(choice);
    expect({ text, thought, stopReason, stoppedAt, ids, logprobs }).toMatchObject(expected);
  });

  it.each<[string, string, boolean]>([
    ["an error with status 200", JSON.stringify({ error: { message: "busy" } }), true],
    ["no choice", JSON.stringify({ choices: [] }), false],
    ["a list", "[]", false],
    ["no JSON", "<html>", false],
    ["null", "null", false],
    ["a number for a text", JSON.stringify({ choices: [{ text: 5 }] }), false],
    ["one that was given up", JSON.stringify({ choices: [{ text: "a", finish_reason: "abort" }] }), true],
  ])("%s is none", (_, answer, isRetryable) => {
    expect(() => readReply(answer, (text) => text)).toThrow(expect.objectContaining({ isRetryable }) as Error);
  });
});
