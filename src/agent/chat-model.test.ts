import { describe, expect, it } from "vitest";
import { UserError } from "../errors.js";
import { inProcessOf } from "../http/server/in-process.test-support.js";
import type { FinishReason, Passage, SearchCall, Trajectory } from "../types.js";
import { ChatService } from "../openai/chat-service.js";
import type { AgentEvent, AnswerTokens, AskOptions } from "./agent.js";
import { agentModel, type ServedAgent } from "./chat-model.js";

const kim: Passage = { id: "7", title: "Kim", text: "A novel by Kipling.", url: "https://kim.example", score: 2 };
const plain: Passage = { id: "8", title: "Novels", text: "Long texts.", score: 1 };

function searched(query: string, passages: Passage[], error?: string): SearchCall {
  return { query, passages, omittedPassages: 0, sanitized: 0, waitedMs: 1, ...(error !== undefined && { error }) };
}

const searches = [
  searched("Kim novel", [kim, plain]),
  searched("Kipling", [kim]),
  searched("x", [], "the engine is gone"),
];
const events: AgentEvent[] = [
  { kind: "thought", text: "Who wrote it?" },
  { kind: "search", query: "Kim novel" },
  { kind: "passages", search: searches[0] },
  { kind: "answer", text: "Rudyard " },
  { kind: "answer", text: "Kipling" },
  endOf("answered", searches, { read: 30, written: 12, answer: 4 }),
];

function endOf(finishReason: FinishReason, made: SearchCall[], tokens: AnswerTokens): AgentEvent {
  const citations = made.flatMap(({ query, passages }) => passages.map((passage) => ({ ...passage, query })));
  const trajectory: Trajectory = {
    ...{ questionId: "asked", segments: [], texts: [], searches: made, answer: null, finishReason },
    timing: { policyMs: 0, searchMs: 0 },
  };
  return { kind: "end", question: "", answer: null, finishReason, citations, searches: made, tokens, trajectory };
}

function serving(told: readonly AgentEvent[] | Error) {
  const asked: { question: string; options: AskOptions }[] = [];
  const agent: ServedAgent = {
    async *stream(question, options = {}) {
      asked.push({ question, options });
      await Promise.resolve();
      if (told instanceof Error) throw told;
      yield* told;
    },
  };
  const { request } = inProcessOf(new ChatService(new Map([["mine", agentModel(agent)]])));
  const ask = (messages: object[], fields: object = {}) =>
    request("/v1/chat/completions", {
      method: "POST",
      body: JSON.stringify({ model: "mine", messages, ...fields }),
    });
  return { ask, asked };
}

const user = { role: "user", content: " Who wrote Kim? " };

interface Completion {
  choices: { message: Record<string, unknown>; finish_reason: string }[];
  usage: object;
}

describe("an agent as a model", () => {
  it("answers with its answer, tells its searches as reasoning, and where it has it from", async () => {
    const { choices, usage } = (await (await serving(events).ask([user])).json()) as Completion;
    expect(choices[0]).toMatchObject({
      message: {
        content: "Rudyard Kipling",
        reasoning_content: "Who wrote it?\nSearch: Kim novel\n1. Kim\n2. Novels\n",
        annotations: [
          {
            type: "url_citation",
            url_citation: { start_index: 0, end_index: 15, url: "https://kim.example", title: "Kim" },
          },
        ],
        sleuth: {
          finish_reason: "answered",
          searches: [
            { query: "Kim novel", passages: [kim, plain] },
            { query: "Kipling", passages: [kim] },
            { query: "x", passages: [], error: "the engine is gone" },
          ],
        },
      },
      finish_reason: "stop",
    });
    expect(usage).toEqual({
      ...{ prompt_tokens: 30, completion_tokens: 12, total_tokens: 42 },
      completion_tokens_details: { reasoning_tokens: 8 },
    });
  });

  it("is asked the last message alone, greedily unless the client says otherwise", async () => {
    const { ask, asked } = serving(events);
    await ask([
      { role: "system", content: "Be brief." },
      { role: "user", content: "Hello" },
      { role: "assistant", content: "Hi" },
      user,
    ]);
    await ask([user], { temperature: 0.7, top_p: 0.9, seed: 5, max_tokens: 3 });
    expect(
      asked.map(({ question, options: { temperature, topP, seed } }) => [question, temperature, topP, seed]),
    ).toEqual([
      ["Who wrote Kim?", 0, undefined, undefined],
      ["Who wrote Kim?", 0.7, 0.9, 5],
    ]);
  });

  it("without an answer says why it ended", async () => {
    const end = endOf("out-of-tokens", [], { read: 1, written: 1, answer: 0 });
    const { choices } = (await (await serving([end]).ask([user])).json()) as Completion;
    expect(choices[0]).toMatchObject({
      message: { content: "", sleuth: { finish_reason: "out-of-tokens" } },
      finish_reason: "length",
    });
    expect(choices[0].message).not.toHaveProperty("annotations");
  });

  it.each<[string, object[], object, string]>([
    ["tools", [user], { tools: [{ type: "function", function: { name: "f" } }] }, "tools"],
    ["several choices", [user], { n: 2 }, "n"],
    ["stops", [user], { stop: "x" }, "stop"],
    ["log-probabilities", [user], { logprobs: true }, "logprobs"],
    ["an answer in the last place", [user, { role: "assistant", content: "Kipling" }], {}, "messages[1]"],
    ["an empty question", [{ role: "user", content: " " }], {}, "messages[0].content"],
    ["a question that is a book", [{ role: "user", content: "x".repeat(70_000) }], {}, "messages[0].content"],
  ])("refuses %s with 400, unasked", async (_, messages, fields, param) => {
    const { ask, asked } = serving(events);
    const response = await ask(messages, fields);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { param } });
    expect(asked).toEqual([]);
  });

  it("that cannot take the question says so with 400", async () => {
    const response = await serving(new UserError("The question leaves no room to write. Ask a shorter one.")).ask([
      user,
    ]);
    expect([response.status, await response.text()]).toEqual([400, expect.stringContaining("no room to write")]);
  });
});
