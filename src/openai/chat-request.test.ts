import { describe, expect, it } from "vitest";
import { ApiError } from "./api-error.js";
import { readChatRequest } from "./chat-request.js";

const user = { role: "user", content: "Who wrote Kim?" };
const tool = { type: "function", function: { name: "search", parameters: { type: "object", properties: {} } } };
const read = (fields: object) => readChatRequest(JSON.stringify({ model: "m", messages: [user], ...fields }));

describe("a request", () => {
  it("is read with its texts in one piece, and nothing assumed of what is left out", () => {
    expect(read({})).toEqual({
      ...{ model: "m", messages: [user], tools: [], toolChoice: "none", stop: [], n: 1 },
      ...{ logprobs: false, topLogprobs: 0, stream: false, includeUsage: false },
    });
    const parts = [
      { type: "text", text: "Who" },
      { type: "text", text: "wrote Kim?" },
    ];
    expect(read({ messages: [{ role: "user", content: parts }] }).messages[0].content).toBe("Who\nwrote Kim?");
  });

  it("of a real client goes through: null fields, unknown fields, earlier calls and their results", () => {
    const call = { id: "c1", type: "function", function: { name: "search", arguments: '{"query":"Kim"}' } };
    const asked = read({
      messages: [
        { role: "developer", content: "Be brief.", name: "x" },
        user,
        { role: "assistant", content: null, tool_calls: [call], refusal: null, reasoning_content: "hm" },
        { role: "tool", tool_call_id: "c1", content: "Rudyard Kipling" },
      ],
      ...{ tools: [{ ...tool, strict: true }], tool_choice: { type: "function", function: { name: "search" } } },
      ...{
        stop: "\n",
        max_tokens: 5,
        max_completion_tokens: 7,
        seed: null,
        n: null,
        response_format: { type: "text" },
      },
      ...{ stream: true, stream_options: { include_usage: true }, store: false, metadata: { a: 1 } },
    });
    expect(asked).toMatchObject({
      messages: [
        { role: "system", content: "Be brief." },
        user,
        {
          ...{ role: "assistant", content: null, reasoning: "hm" },
          toolCalls: [{ id: "c1", name: "search", arguments: '{"query":"Kim"}' }],
        },
        { role: "tool", toolCallId: "c1", content: "Rudyard Kipling" },
      ],
      tools: [{ name: "search", parameters: { type: "object", properties: {} } }],
      ...{ toolChoice: { name: "search" }, stop: ["\n"], maxTokens: 7, n: 1, stream: true, includeUsage: true },
    });
    expect(asked.seed).toBeUndefined();
  });

  it.each<[string, object, string, RegExp]>([
    [
      "an image",
      { messages: [{ role: "user", content: [{ type: "image_url" }] }] },
      "messages[0].content[0]",
      /only text/,
    ],
    ["no messages", { messages: [] }, "messages", /at least one/],
    ["a number for content", { messages: [{ role: "user", content: 5 }] }, "messages[0].content", /list of parts/],
    ["a strange role", { messages: [{ role: "robot", content: "" }] }, "messages[0].role", /./],
    ["a result without its call", { messages: [{ role: "tool", content: "" }] }, "messages[0].tool_call_id", /./],
    ["no model", { model: undefined }, "model", /name a model/],
    ["JSON mode", { response_format: { type: "json_object" } }, "response_format", /json_object/],
    ["a cold temperature", { temperature: -1 }, "temperature", /./],
    ["too many choices", { n: 1000 }, "n", /./],
    ["an empty stop", { stop: [""] }, "stop", /16 texts/],
    ["a tool without a name", { tools: [{ type: "function", function: {} }] }, "tools[0].function.name", /./],
    [
      "a tool whose schema is no object's",
      { tools: [{ type: "function", function: { name: "f", parameters: { type: "string" } } }] },
      "tools[0].function.parameters",
      /schema of an object/,
    ],
    [
      "a choice of no tool",
      { tools: [tool], tool_choice: { type: "function", function: { name: "g" } } },
      "tool_choice",
      /g/,
    ],
    ["calls required without tools", { tool_choice: "required" }, "tool_choice", /no tools/],
    [
      "arguments as an object",
      {
        messages: [
          { role: "assistant", tool_calls: [{ id: "1", type: "function", function: { name: "f", arguments: {} } }] },
        ],
      },
      "messages[0].tool_calls[0].function.arguments",
      /JSON text/,
    ],
  ])("with %s is refused, naming the field", (_, fields, param, words) => {
    const refused = thrownBy(() => read(fields));
    expect(refused).toBeInstanceOf(ApiError);
    expect(refused).toMatchObject({ status: 400, details: { param } });
    expect((refused as ApiError).message).toMatch(words);
  });

  it.each(["", "{", "[]", "null", '"text"', `${"[".repeat(5_000)}${"]".repeat(5_000)}`])(
    "that is no object (%#) is refused",
    (body) => expect(thrownBy(() => readChatRequest(body))).toMatchObject({ status: 400, details: { param: "body" } }),
  );
});

function thrownBy(task: () => unknown): unknown {
  try {
    return task();
  } catch (error) {
    return error;
  }
}
