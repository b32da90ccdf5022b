/** @file One client before servers that answer as llama.cpp, OpenAI and Ollama do. What failures do is tested with the judge, which asks through it. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { ChatCompletions, type ChatCompletionsSettings } from "./chat-completions.js";
import { ServiceFailure } from "./request.js";

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

/** A server that gives these answers, one after another, the last one for ever; and what it was asked. */
async function serving(answers: object[], settings: Partial<ChatCompletionsSettings> = {}) {
  const asked: Record<string, unknown>[] = [];
  server = createServer((request, response) => {
    let text = "";
    request.on("data", (piece) => (text += String(piece)));
    request.on("end", () => {
      asked.push(JSON.parse(text) as Record<string, unknown>);
      response.end(JSON.stringify(answers[Math.min(asked.length, answers.length) - 1]));
    });
  });
  await new Promise<void>((resolve) => server?.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const client = new ChatCompletions(
    { url, model: "m", ...settings },
    {
      title: "Writer",
      urlName: "--model-url",
      keyVariable: "A_KEY",
      advice: () => "",
      error: (message) => new Error(message),
    },
    { sleep: () => Promise.resolve() },
  );
  return { client, asked };
}

const reply = (content: unknown, more: object = {}): object => ({
  choices: [{ index: 0, message: { role: "assistant", content } }],
  ...more,
});
const messages = [{ role: "user" as const, content: "Say something." }];

describe("chat completions", () => {
  it("count the tokens of every reply, also of one that is asked for again, and say how many replies do not tell", async () => {
    const openai = reply("one", { usage: { prompt_tokens: 10, completion_tokens: 2, total_tokens: 12 } });
    const llama = reply("two", { usage: { prompt_tokens: 5, completion_tokens: 1 }, timings: { predicted_n: 1 } });
    const { client } = await serving([openai, llama, reply("three"), reply("four", { usage: null })]);
    let reads = 0;
    const read = (text: string): string => {
      if (++reads === 1) throw new ServiceFailure("not this one", { isRetryable: true, status: 200, retryAfterMs: 0 });
      return text;
    };
    expect(await client.complete(messages, read)).toBe("two");
    expect(await client.complete(messages, read)).toBe("three");
    expect(await client.complete(messages, read)).toBe("four");
    expect(client.usage()).toEqual({ replies: 4, promptTokens: 15, completionTokens: 3, uncounted: 2 });
  });

  it("a request's own fields win over the client's; model and messages are nobody's", async () => {
    const body = { temperature: 0.7, max_tokens: 5, model: "other" };
    const { client, asked } = await serving([reply("yes")], { body });
    await client.complete(messages, String, { body: { temperature: 0, stop: ["\n"] } });
    expect(asked[0]).toEqual({ model: "m", messages, temperature: 0, max_tokens: 5, stop: ["\n"], stream: false });
  });

  it.each([
    ["no content, as of a refusal", reply(null)],
    ["content in parts", reply([{ type: "text", text: "yes" }])],
    ["an error with status 200", { error: { message: "no such model" } }],
  ])("%s is no completion", async (_, answer) => {
    const { client } = await serving([answer]);
    await expect(client.complete(messages, String)).rejects.toThrow(/not what a chat completion looks like/);
    expect(client.usage().replies).toBe(0);
  });
});
