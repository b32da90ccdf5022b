/** @file A served policy before a server in a function: the conversation, closing tags, what a rollout makes of it. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { ChatCompletions } from "../../http/chat-completions.js";
import { byteTokenizer } from "../../policy/testing.js";
import { searchR1 } from "../../prompts/protocol.js";
import { rollout } from "../../rollout/rollout.js";
import { engineOf, passage, question } from "../../rollout/fixtures.test-support.js";
import type { ChatMessage } from "../../types.js";
import { servedPolicy, withClosingTag } from "./served.js";

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

interface Asked {
  messages: ChatMessage[];
  stop: string[];
}

/** A client of a server that answers with one reply after another, without the string at which it stopped. */
async function clientOf(replies: readonly string[], asked: Asked[]): Promise<ChatCompletions> {
  server = createServer((request, response) => {
    let body = "";
    request.on("data", (piece) => (body += String(piece)));
    request.on("end", () => {
      asked.push(JSON.parse(body) as Asked);
      response.end(JSON.stringify({ choices: [{ message: { content: replies[asked.length - 1] } }] }));
    });
  });
  await new Promise<void>((resolve) => server?.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
  const owner = {
    title: "Server",
    urlName: "--server",
    keyVariable: "KEY",
    advice: () => "",
    error: (text: string) => new Error(text),
  };
  return new ChatCompletions({ url, model: "m", retries: 0 }, owner);
}

const attempt = async (replies: readonly string[], asked: Asked[] = []) =>
  rollout(question, {
    policy: servedPolicy({
      client: await clientOf(replies, asked),
      protocol: searchR1,
      tokenizer: byteTokenizer(),
      contextLength: 10_000,
    }),
    search: engineOf(() => [passage("Paris is the capital of France.", "France")]),
    protocol: searchR1,
    ...{ maxSearches: 2, topK: 1, maxTokensPerTurn: 300, maxTokens: 5000, maxObservationTokens: 500 },
  });

describe("a served policy", () => {
  it("holds the conversation of a rollout: prompt, turn, what was found, turn", async () => {
    const asked: Asked[] = [];
    const { finishReason, answer, searches, texts } = await attempt(
      ["<think> I look it up. </think>\n<search> capital of France ", "<think> It is there. </think>\n<answer> Paris "],
      asked,
    );
    expect({ finishReason, answer }).toEqual({ finishReason: "answered", answer: "Paris" });
    expect(searches.map(({ query }) => query)).toEqual(["capital of France"]);
    expect(texts[1]).toBe("<think> I look it up. </think>\n<search> capital of France </search>");
    expect(asked[1].messages.map(({ role }) => role)).toEqual(["user", "assistant", "user"]);
    expect(asked[1].messages[0].content).toMatch(/Question: Capital of France\?$/);
    expect(asked[1].messages[1].content).toBe(texts[1]);
    expect(asked[1].messages[2].content).toMatch(/^<information>Doc 1\(Title: France\) Paris is .*<\/information>$/s);
    expect(asked[0].stop).toEqual(["</search>", "</answer>"]);
  });

  it("that says neither is told so, and one that says nothing or too much ends like any other", async () => {
    const asked: Asked[] = [];
    const twice = await attempt(["Paris, of course.", "<answer> Paris"], asked);
    expect(twice).toMatchObject({ finishReason: "answered", answer: "Paris" });
    expect(asked[1].messages.at(-1)?.content).toMatch(/^My previous action is invalid/);
    expect(await attempt(["", "", ""])).toMatchObject({ finishReason: "out-of-turns", answer: null });
    expect(await attempt(["x".repeat(5000), "y".repeat(5000), "z"])).toMatchObject({ answer: null, cutTurns: 2 });
  });

  it.each([
    ["<search> a b", "<search> a b </search>"],
    ["<search> a b \n", "<search> a b </search>"],
    ["<think> t </think><answer>Paris", "<think> t </think><answer>Paris </answer>"],
    ["<search> a </search> and more", "<search> a </search>"],
    ["<search> a </search><answer> b </answer>", "<search> a </search>"],
    ["nothing of the kind", "nothing of the kind"],
    ["", ""],
  ])("ends %j as a rollout needs it", (reply, turn) => {
    expect(withClosingTag(reply, searchR1)).toBe(turn);
  });
});
