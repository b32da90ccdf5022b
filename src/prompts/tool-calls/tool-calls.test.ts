import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createChatTemplate } from "../../engine/io/chat-template.js";
import type { ToolDefinition } from "../../types.js";
import { atlas, searchR1 } from "../protocol.js";
import { readTurn, toolAsData, type ToolCallFormat } from "./format.js";
import { hermes } from "./hermes.js";
import { canonicalJson, jsonMembers, spacedJson } from "./json-text.js";
import { llama } from "./llama.js";
import { detectToolCallFormat, toolCallFormats } from "./named.js";
import { parameterTags } from "./parameters.js";
import { protocolTagsFormat } from "./tags.js";

const golden = (family: string): string =>
  readFileSync(
    fileURLToPath(new URL(`../../../test/golden/chat/${family}/chat_template.jinja`, import.meta.url)),
    "utf8",
  );
/** The form of Qwen3-Coder's and Qwen3.5's. */
const coder = `{% for m in messages %}<|im_start|>{{ m.role }}
{{ m.content }}{% for c in m.tool_calls or [] %}{{ '\\n' if m.content or not loop.first }}<tool_call>
<function={{ c.function.name }}>
{% for k, v in c.function.arguments | items %}<parameter={{ k }}>
{{ v if v is string else v | tojson }}
</parameter>
{% endfor %}</function>
</tool_call>{% endfor %}<|im_end|>
{% endfor %}`;
const templates: readonly [format: ToolCallFormat, template: string, end: string][] = [
  [hermes, golden("qwen2.5"), "<|im_end|>"],
  [hermes, golden("qwen3"), "<|im_end|>"],
  [llama, golden("llama3.2"), "<|eot_id|>"],
  [parameterTags, coder, "<|im_end|>"],
];

const search: ToolDefinition = {
  name: "search",
  parameters: {
    type: "object",
    properties: {
      query: { type: "string" },
      top_k: { type: "integer" },
      exact: { type: ["boolean", "null"] },
      filter: { anyOf: [{ type: "object" }, { type: "array" }] },
    },
  },
};

/** Texts that could be taken for structure, but not for the end of a turn or of a thought. */
const text = fc.oneof(
  fc.string({ unit: "grapheme", maxLength: 12 }),
  fc.constantFrom(
    "</tool_call>",
    "<tool_call>",
    'a "b" \\ {',
    "}\n",
    "null",
    "12",
    "<parameter=x>",
    "Ärger 😀",
    "</function>",
  ),
);
const call = fc.record({
  name: fc.constant("search"),
  arguments: fc
    .record(
      {
        query: text,
        top_k: fc.integer(),
        exact: fc.option(fc.boolean()),
        filter: fc.oneof(fc.dictionary(text, text, { maxKeys: 2 }), fc.array(text, { maxLength: 2 })),
      },
      { requiredKeys: ["query"] },
    )
    .map((value) => JSON.stringify(value)),
});

describe.each(templates)("calls of %o", (format, source, end) => {
  const template = createChatTemplate(source, { bos_token: "<s>" }, { now: new Date(0) });

  it("are read as the family's template writes them, and written as it does", () => {
    const many = fc.array(call, { minLength: 1, maxLength: format.parallel ? 3 : 1 });
    fc.assert(
      fc.property(many, (calls) => {
        const rendered = template.render(
          [
            { role: "user", content: "Who?" },
            {
              role: "assistant",
              content: null,
              toolCalls: calls.map((one, index) => ({ id: `call0000${index}`, ...one })),
            },
          ],
          { addGenerationPrompt: false, tools: [toolAsData(search)] },
        );
        // What stands between the assistant's header and the end of its message.
        const turn =
          rendered
            .slice(0, rendered.lastIndexOf(end))
            .split(/assistant(?:<\|end_header_id\|>\n)?\n/)
            .at(-1) ?? "";
        const {
          content,
          calls: read,
          problems,
        } = readTurn(format, turn.replace(/^<think>\n\n<\/think>\n\n/, ""), {
          tools: [search],
        });
        expect(problems).toEqual([]);
        expect(content).toBe("");
        expect(read.map((one) => [one.name, canonicalJson(one.arguments)])).toEqual(
          calls.map((one) => [one.name, canonicalJson(one.arguments)]),
        );
        expect(turn.replace("<think>\n\n</think>", "").trim()).toBe(format.write(calls));
      }),
      { numRuns: 30 },
    );
  });
});

describe("a turn", () => {
  const formats = Object.values(toolCallFormats);

  it("of any text is read, in every format", () => {
    const piece = fc.oneof(
      text,
      fc.constantFrom(
        "<think>",
        "</think>",
        '{"name": "search", "arguments": ',
        '{"a": 1}',
        "}",
        "\n",
        "<function=search>",
      ),
      fc.constantFrom(
        "</parameter>",
        "<parameter=query>",
        "<search>",
        "</search>",
        "<answer>",
        '{"name": "search", "parameters": {}}',
      ),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), fc.constantFrom("", "<think>"), (pieces, begunThought) => {
        for (const format of formats) {
          const { calls } = readTurn(format, pieces.join(""), { tools: [search], begunThought });
          for (const one of calls) expect(jsonMembers(one.arguments)).toBeInstanceOf(Map);
          if (!format.parallel) expect(calls.length).toBeLessThan(2);
        }
      }),
      { numRuns: 150 },
    );
  });

  it("has a thought, which may have begun in the prompt, and holds no call", () => {
    const written = 'hm <tool_call>\n{"name": "no"}</tool_call>\n</think>\n\nYes.';
    expect(readTurn(hermes, written, { begunThought: "<think>" })).toEqual({
      thought: 'hm <tool_call>\n{"name": "no"}</tool_call>',
      content: "Yes.",
      calls: [],
      problems: [],
    });
    expect(readTurn(hermes, `<think>${written}`).content).toBe("Yes.");
    expect(readTurn(hermes, "cut off", { begunThought: "<think>" })).toMatchObject({ thought: "cut off", content: "" });
  });

  it("keeps arguments as they were written", () => {
    const json = '{"b": 1.0, "2": 12345678901234567890, "1": "\\u00e4"}';
    const { content, calls } = readTurn(
      hermes,
      `Let me look.\n<tool_call>\n{"name": "f", "arguments": ${json}}\n</tool_call>`,
    );
    expect([content, calls]).toEqual(["Let me look.", [{ name: "f", arguments: json }]]);
    expect(spacedJson('{"a":[1,2],"b" : "x,y:z"}')).toBe('{"a": [1, 2], "b": "x,y:z"}');
  });

  it.each([
    [hermes, "<tool_call>\nsearch\n</tool_call>", /no JSON object/],
    [hermes, '<tool_call>{"name": "f", "arguments": {', /does not end/],
    [hermes, '<tool_call>{"name": "f", "arguments": {}} and', /not followed by/],
    [hermes, '<tool_call>{"arguments": {}}</tool_call>', /no "name"/],
    [hermes, '<tool_call>{"name": "f", "arguments": [1]}</tool_call>', /no JSON object/],
    [hermes, '<tool_call>{"name": f}</tool_call>', /not valid JSON/],
    [parameterTags, "<tool_call>\nsearch\n</tool_call>", /no <function=/],
    [parameterTags, "<tool_call>\n<function=f>\n<parameter=k>\nv\n", /k of f is not closed/],
    [parameterTags, "<tool_call>\n<function=f>\n</function>", /does not end with/],
    [llama, '{"name": "search", "parameters": {}} {"name": "search", "parameters": {}}', /More text follows/],
    [llama, '{"name": "search", "parameters": ', /not valid JSON/],
    [llama, '{"name": "Ada", "parameters": {}}', /No tool is called "Ada"/],
    [toolCallFormats.tags, "<search> Lima", /neither <search>…<\/search> nor <answer>…<\/answer>/],
  ])("that is no call says why: %o %j", (format, written, why) => {
    const { calls, problems, content } = readTurn(format, written, { tools: [search] });
    expect(calls).toEqual([]);
    expect(problems).toEqual([expect.stringMatching(why)]);
    expect(content).toBe(written.trim());
  });

  it("in JSON without a call's name and arguments is an answer", () => {
    expect(readTurn(llama, '{"capital": "Lima"}', { tools: [search] })).toMatchObject({ problems: [], calls: [] });
  });

  it("with parameters takes types from the tool's schema", () => {
    const of = (key: string, value: string): unknown =>
      JSON.parse(
        readTurn(
          parameterTags,
          `<tool_call>\n<function=search>\n<parameter=${key}>\n${value}\n</parameter>\n</function>\n</tool_call>`,
          { tools: [search] },
        ).calls[0].arguments,
      );
    expect(of("query", "12")).toEqual({ query: "12" });
    expect(of("top_k", "12")).toEqual({ top_k: 12 });
    expect(of("exact", "True")).toEqual({ exact: true });
    expect(of("exact", "None")).toEqual({ exact: null });
    expect(of("top_k", "many")).toEqual({ top_k: "many" });
    expect(of("unknown", "{}")).toEqual({ unknown: "{}" });
    expect(of("query", " two\nlines </parameter> ")).toEqual({ query: " two\nlines </parameter> " });
  });

  it("with a protocol's tags calls the search tool, and its answer is the content", () => {
    const format = protocolTagsFormat(searchR1);
    expect(readTurn(format, "<think>hm</think> so <search> capital Lima </search>", { tools: [search] })).toEqual({
      thought: "hm",
      content: "so",
      calls: [{ name: "search", arguments: '{"query":"capital Lima"}' }],
      problems: [],
    });
    expect(format.write([{ name: "search", arguments: '{"top_k": 3, "query": "Lima"}' }])).toBe(
      "<search> Lima </search>",
    );
    expect(readTurn(format, "<answer> Lima </answer>")).toMatchObject({ content: "Lima", calls: [] });
    expect(readTurn(format, "Hello!")).toMatchObject({ content: "Hello!", problems: [] });
    expect(format.result("$& Lima")).toBe("\n\n<information>$& Lima</information>\n\n");
    expect(protocolTagsFormat(atlas).result("x")).toBe("<information>x</information>\n");
    expect(format.stops).toEqual(["</search>", "</answer>"]);
  });
});

describe("a chat template", () => {
  it.each([
    ["qwen2.5", "hermes"],
    ["qwen3", "hermes"],
    ["llama3.2", "llama"],
    ["llama3", undefined],
    ["smollm2", undefined],
    ["mistral", undefined],
  ])("of %s teaches %s", (family, format) => {
    expect(detectToolCallFormat(golden(family))).toBe(format);
  });

  it("with parameters is told from one with JSON, and GLM's from both", () => {
    expect(detectToolCallFormat(coder)).toBe("parameters");
    expect(detectToolCallFormat("<tool_call>{{ name }}<arg_key>{{ k }}</arg_key>")).toBeUndefined();
  });
});
