import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { UserError } from "../../errors.js";
import type { ChatMessage, TemplateVariables } from "../../types.js";
import { chatTemplateOf, createChatTemplate, templateGlobals } from "./chat-template.js";
import { readJinja, runJinja, type TemplateBudget } from "./jinja.js";
import { createTokenizer, loadTokenizer } from "./tokenizer.js";

const golden = fileURLToPath(new URL("../../../test/golden/chat/", import.meta.url));

interface Case {
  family: string;
  messages: ChatMessage[];
  addGenerationPrompt: boolean;
  text: string | null;
  tokens: number[] | null;
  raw: number[];
}
const cases = JSON.parse(readFileSync(path.join(golden, "expected.json"), "utf8")) as Case[];
const families = readdirSync(golden, { withFileTypes: true }).filter((entry) => entry.isDirectory());
const read = (family: string, file: string): string => readFileSync(path.join(golden, family, file), "utf8");
/** The day on which the golden texts were rendered. */
const now = new Date(2025, 2, 9, 17, 5);

/** Made by test/golden/chat.py with transformers 5.23 and the templates of TRL 1.16. */
describe.each(families.map(({ name }) => name))("the chat template of %s", (family) => {
  const settings = JSON.parse(read(family, "tokenizer_config.json")) as Record<string, unknown>;
  const template = chatTemplateOf({ settings, chatTemplate: read(family, "chat_template.jinja") }, family, { now });
  const own = cases.filter((one) => one.family === family);

  it("renders and encodes as transformers does", async () => {
    const tokenizer = await loadTokenizer(path.join(golden, family));
    expect(own).toHaveLength(5);
    for (const { messages, addGenerationPrompt, text, tokens } of own) {
      if (text === null) {
        expect(() => template?.render(messages, { addGenerationPrompt })).toThrow(UserError);
        continue;
      }
      const rendered = template?.render(messages, { addGenerationPrompt });
      expect(rendered).toBe(text);
      expect(tokenizer.encode(rendered as string)).toEqual(tokens);
    }
  });

  it("knows what a bare text begins with", async () => {
    const tokenizer = await loadTokenizer(path.join(golden, family));
    for (const { messages, raw } of own) {
      expect([...(tokenizer.startIds ?? []), ...tokenizer.encode(messages[0].content)]).toEqual(raw);
    }
  });
});

describe("a chat template", () => {
  const user: ChatMessage[] = [{ role: "user", content: "Who?" }];
  const render = (source: string, messages = user, specials = {}, variables: TemplateVariables = {}): string =>
    createChatTemplate(source, specials, { now, name: "The chat template of there" }).render(messages, {
      addGenerationPrompt: true,
      variables,
    });

  it("finds what the templates of the families use", () => {
    expect(render("{{ messages | tojson }}")).toBe('[{"role": "user", "content": "Who?"}]');
    expect(render("{{ strftime_now('%d %b %Y, %-d %B %y %A %a %H:%M %I %p %j %% %Q') }}")).toBe(
      "09 Mar 2025, 9 March 25 Sunday Sun 17:05 05 PM 068 % %Q",
    );
    expect(render("{% for i in range(3) %}{{ i }}{% endfor %}{{ range(4, 0, -2) | join(',') }}")).toBe("0124,2");
    expect(render("{% set ns = namespace(n=1) %}{% for m in messages %}{% set ns.n = 7 %}{% endfor %}{{ ns.n }}")).toBe(
      "7",
    );
    expect(render("{{ bos_token }}|{{ eos_token }}|{{ unk_token is defined }}", user, { bos_token: "<s>" })).toBe(
      "<s>||False",
    );
    expect(render("{{ tools is none and documents is none and not custom_tools is defined }}")).toBe("True");
  });

  it("is told variables that it reads, and no others", () => {
    const source = "{% if enable_thinking is defined and enable_thinking is false %}quiet{% else %}loud{% endif %}";
    expect(render(source)).toBe("loud");
    expect(render(source, user, {}, { enable_thinking: false })).toBe("quiet");
    expect(() => render(source, user, {}, { enable_thinkin: false })).toThrow(
      /rollout\.templateVariables sets enable_thinkin, which the chat template of there never reads\. Did you mean enable_thinking\?/,
    );
  });

  it("takes a message as data", () => {
    const content = "{{ bos_token }}{% raise %} {# #}";
    expect(render("{{ messages[0].content }}", [{ role: "user", content }])).toBe(content);
  });

  it("says which template is at fault, and what to do", () => {
    expect(() => render("{{ raise_exception('No system here') }}")).toThrow(
      /The chat template of there cannot render a conversation of 1 message \(user\): No system here.*rollout\.chat=never/s,
    );
    expect(() => render("{% for %}")).toThrow(UserError);
    expect(() => render("{% for %}")).toThrow(/The chat template of there is not a Jinja template.*Copy it again/s);
    expect(() => render("{{ undefined_function() }}")).toThrow(UserError);
    expect(() => render("{% for i in range(10000000000) %}{% endfor %}")).toThrow(/too long/);
  });

  it("is read only when it is used", () => {
    expect(createChatTemplate("{% for %}", {}).source).toBe("{% for %}");
  });
});

/** Expected values are those of jinja2 3.1.6 in transformers' environment. */
describe("a chat template is Python's", () => {
  const values = {
    text: '  a"b\n',
    yes: true,
    nothing: null,
    half: 0.5,
    one: 1,
    list: ["it's", true, null],
    map: { k: [1] },
  };
  const render = (source: string, variables: Record<string, unknown> = values): string =>
    runJinja(readJinja(source), { ...templateGlobals(now), ...variables });

  it.each([
    ["{{ '--a-b--'.strip('-') }}|{{ '\\n\\n  x\\n'.lstrip('\\n') }}|{{ 'x. .'.rstrip('. ') }}", "a-b|  x\n|x"],
    [
      "{{ text.strip() }}|{{ '\ufeffa\x1c'.strip() }}|{{ '<<a>' | trim('<>') }}|{{ none | trim }}",
      'a"b|\ufeffa|a|None',
    ],
    ["{{ yes }} {{ nothing }} {{ one }} {{ one / 2 }} {{ 4 / 2 }} {{ missing }}|", "True None 1 0.5 2.0 |"],
    ["{{ list }} {{ map }} {{ ('x', 'y') }} {{ text | string }}", `["it's", True, None] {'k': [1]} ('x', 'y')   a"b\n`],
    ["{{ 'x=' ~ yes ~ nothing }} {{ yes | string + '!' }} {{ nothing | tojson }}", "x=TrueNone True! null"],
    ["{{ [text, '\\\\', 'é\u200b'] }}", `['  a"b\\n', '\\\\', 'é\\u200b']`],
    ["{% for i in list %}{{ loop.first }},{% endfor %}", "True,False,False,"],
    [
      "{{ 0 == '' }} {{ 1 == true }} {{ 1 == 1.0 }} {{ [1, 'a'] == [1, 'a'] }} {{ map == {'k': [2]} }}",
      "False True True True False",
    ],
    ["{{ none == false }} {{ '1' != 1 }} {{ missing == none }} {{ map != {'k': [1]} }}", "False True False False"],
    ["{{ 'a' + 'b' }} {{ [1] + [2] }} {{ 1 + 2.5 }} {{ 1 + 1 + 1 }}", "ab [1, 2] 3.5 3"],
    [
      "{% for c in 'aé' %}{{ c }}{{ loop.index }}{% endfor %}{% for c in 'abc' if c != 'b' %}{{ c }}{% endfor %}",
      "a1é2ac",
    ],
  ])("%s", (source, expected) => {
    expect(render(source)).toBe(expected);
  });

  it("a number is not added to a text", () => {
    expect(() => render("{{ 'x' + 1 }}")).toThrow(/cannot be added/);
  });

  it.each(["\r\n", "\r"])("line ends of any kind are one: %j", (end) => {
    const source = ["{% if yes %}", "a", "{{- 'b", "c' }}", "{%- endif %}", ""].join("\n");
    expect(render(source.replaceAll("\n", end))).toBe(render(source));
    expect(render(source)).toBe("ab\nc");
    // What is handed in keeps its own.
    expect(render("{{ text }}", { text: "a\r\nb" })).toBe("a\r\nb");
  });
});

describe("a chat template is a stranger's program", () => {
  const render = (source: string, budget: Partial<TemplateBudget>, content = "Who?"): string =>
    createChatTemplate(source, {}, { budget }).render([{ role: "user", content }], { addGenerationPrompt: true });

  it("with so many steps", () => {
    const source = "{% for i in range(20) %}{% for j in range(20) %}{{ i }}{% endfor %}{% endfor %}";
    expect(render(source, {})).toHaveLength(600);
    expect(() => render(source, { steps: 200 })).toThrow(UserError);
    expect(() => render(source, { steps: 200 })).toThrow(
      /cannot render.*more than 200 steps, as a loop without an end would.*rollout\.chat=never/s,
    );
  });

  it("with values of such a size", () => {
    const doubled =
      "{% set ns = namespace(s='ab') %}{% for i in range(10) %}{% set ns.s = ns.s + ns.s %}{% endfor %}{{ ns.s }}";
    expect(render(doubled, {})).toHaveLength(2048);
    expect(() => render(doubled, { characters: 50 })).toThrow(/a value of more than \d+ characters/);
    const nested =
      "{% set a = ['x', 'y'] %}{% set b = [a, a, a, a] %}{% set c = [b, b, b, b] %}{% set d = [c, c, c, c] %}{{ d | tojson }}";
    expect(() => render(nested, { characters: 10 })).toThrow(/a value of more than/);
    // What is handed in may be written out, however long it is.
    expect(
      render("{{ messages[0].content + messages[0].content }}", { characters: 10 }, "x".repeat(1000)),
    ).toHaveLength(2000);
  });

  it("with so much time, reading it included", () => {
    const source = "{% for i in range(3000) %}{{ i }}{% endfor %}";
    expect(() => render(source, { milliseconds: 1 })).toThrow(UserError);
    expect(() => render(source, { milliseconds: 1 })).toThrow(/longer than 0\.001 s/);
    expect(() => render("{{ 'x' }}".repeat(5000), { milliseconds: 1 })).toThrow(/longer than 0\.001 s/);
  });

  it.each([{ milliseconds: 1 }, { steps: 200 }])("once: it is not run again with another message, %j", (budget) => {
    const template = createChatTemplate("{% for i in range(3000) %}{{ i }}{% endfor %}", {}, { budget });
    const refusal = (content: string): unknown => {
      try {
        return template.render([{ role: "user", content }], { addGenerationPrompt: true });
      } catch (error) {
        return error;
      }
    };
    const first = refusal("Who?");
    expect(first).toBeInstanceOf(UserError);
    expect(refusal("Where?")).toBe(first);
  });
});

describe("the files of a tokenizer", () => {
  const sourceOf = (settings: Record<string, unknown>, chatTemplate?: string): string | undefined =>
    chatTemplateOf({ settings, chatTemplate }, "there")?.source;

  it("hold a template as a file of its own, as text, as a list, or not at all", () => {
    const list = [
      { name: "tool_use", template: "T" },
      { name: "default", template: "D" },
    ];
    expect(sourceOf({ chat_template: "S" }, "F")).toBe("F");
    expect(sourceOf({ chat_template: "S" })).toBe("S");
    expect(sourceOf({ chat_template: list })).toBe("D");
    expect(sourceOf({ chat_template: [{ name: "only", template: "O" }] })).toBe("O");
    expect(sourceOf({ chat_template: [list[0], { name: "rag", template: "R" }] })).toBeUndefined();
    expect(sourceOf({ chat_template: null })).toBeUndefined();
    expect(sourceOf({})).toBeUndefined();
  });

  it("say with add_bos_token whether a text begins with the BOS, whatever the post-processor does", () => {
    const json = JSON.parse(read("llama3", "tokenizer.json")) as object;
    const bare = { ...json, post_processor: null };
    const bos = "<|begin_of_text|>";
    const startIds = (file: object, addBos?: boolean): readonly number[] | undefined =>
      createTokenizer(file, { eos: [], bos, addBos }).startIds;
    expect(startIds(json)).toEqual([0]);
    expect(startIds(json, false)).toEqual([]);
    expect(startIds(bare)).toEqual([]);
    expect(startIds(bare, true)).toEqual([0]);
  });
});
