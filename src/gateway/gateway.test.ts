import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { trajectoryToDatum } from "../algorithms/datum.js";
import type { Policy } from "../contracts/policy.js";
import { createChatTemplate } from "../engine/io/chat-template.js";
import { scriptedPolicy } from "../policy/scripted.js";
import { byteTokenizer } from "../policy/testing.js";
import { turnEnds } from "../prompts/turn-ends.js";
import { Random } from "../random.js";
import type { ConversationMessage, Tokenizer, ToolDefinition } from "../types.js";
import { bridgeTokens, findBridge, type FoundBridge } from "./bridge.js";
import { sequencesOf } from "./forest.js";
import { NoRoom, Session, type Choice, type SessionOptions } from "./session.js";

const golden = (family: string): string =>
  readFileSync(fileURLToPath(new URL(`../../test/golden/chat/${family}/chat_template.jinja`, import.meta.url)), "utf8");
const withTemplate = (source: string): Tokenizer => ({
  ...byteTokenizer(),
  chatTemplate: createChatTemplate(source, {}),
});
const qwen = withTemplate(golden("qwen2.5"));
const qwen3 = withTemplate(golden("qwen3"));
/** Knows nothing of tools. */
const smollm = withTemplate(golden("smollm2"));

const tools: ToolDefinition[] = [
  { name: "search", parameters: { type: "object", properties: { query: { type: "string" } } } },
];
const user = (content: string): ConversationMessage => ({ role: "user", content });
const result = (toolCallId: string, content: string): ConversationMessage => ({ role: "tool", toolCallId, content });
const said = ({ content, toolCalls }: Choice): ConversationMessage => ({ role: "assistant", content, toolCalls });
const call = (query: string): string =>
  `<tool_call>\n{"name": "search", "arguments": {"query": "${query}"}}\n</tool_call>`;
const ending = { questionId: "q", finishReason: "answered" as const, answer: null };

function scripted(script: readonly string[], tokenizer: Tokenizer, options: Partial<SessionOptions> = {}) {
  const policy = scriptedPolicy({ tokenizer, script: script.map((text) => `${text}<|im_end|>`), contextLength: 8000 });
  return { policy, session: new Session({ policy, ...options }) };
}

describe("a session", () => {
  it("goes on over what was sampled, call by call, with what the chat template writes between", async () => {
    // Not as the template would write it: a re-rendered row would differ.
    const first = `Let me see.  ${call("Lima").replace(": {", ":   {")}`;
    const { policy, session } = scripted([first, `${call("Peru")}\n${call("Sol")}`, "The sol."], qwen);
    const one = await session.respond({ messages: [user("Which currency?")], tools });
    expect(one.choices[0]).toMatchObject({ content: "Let me see.", finishReason: "tool_calls" });
    const history = [
      user("Which currency?"),
      said(one.choices[0]),
      result(one.choices[0].toolCalls[0].id, "Lima is in Peru."),
    ];
    const two = await session.respond({ messages: history, tools });
    const [a, b] = two.choices[0].toolCalls;
    // Results come in any order, arguments are written anew, content that was null is "".
    const again = {
      ...said(two.choices[0]),
      content: "",
      toolCalls: [a, b].map((each) => ({ ...each, arguments: each.arguments.replace(": ", ":") })),
    };
    const three = await session.respond({
      messages: [...history, again as ConversationMessage, result(b.id, "B"), result(a.id, "A")],
      tools,
    });
    expect(three.choices[0]).toMatchObject({ content: "The sol.", finishReason: "stop" });
    expect(session.counts).toMatchObject({ requests: 3, extended: 2, newBranches: { first: 1 } });
    const between = (text: string): string =>
      `\n<|im_start|>user\n<tool_response>\n${text}\n</tool_response><|im_end|>\n<|im_start|>assistant\n`;
    const parts = [`${first}<|im_end|>`, between("Lima is in Peru."), `${call("Peru")}\n${call("Sol")}<|im_end|>`];
    const row = policy.calls[0].prefixText + parts.join("") + between("A\n</tool_response>\n<tool_response>\nB");
    expect(policy.calls[2].prefixText).toBe(row);
    const [sequence, ...rest] = sequencesOf(session.turns, ending);
    expect(rest).toEqual([]);
    expect(sequence.segments.map(({ role }) => role)).toEqual([
      "prompt",
      "policy",
      "environment",
      "policy",
      "environment",
      "policy",
    ]);
    expect(sequence.segments.flatMap(({ tokens_T }) => tokens_T)).toEqual(qwen.encode(`${row}The sol.<|im_end|>`));
  });

  it("keeps thoughts that clients drop, or cuts them as deployment would, which begins a branch", async () => {
    const script = ["<think>\nhm\n</think>\n\nYes.", "<think>\nso\n</think>\n\nNo."];
    for (const oldThoughts of ["keep", "cut"] as const) {
      const { policy, session } = scripted(script, qwen3, { oldThoughts });
      const { choices } = await session.respond({ messages: [user("Is it?")] });
      expect(choices[0]).toMatchObject({ content: "Yes.", reasoning: "hm" });
      const { row } = await session.respond({ messages: [user("Is it?"), said(choices[0]), user("Sure?")] });
      expect(policy.calls[1].prefixText.includes("hm")).toBe(oldThoughts === "keep");
      expect(row.began).toBe(oldThoughts === "keep" ? "extended" : "new");
      expect(sequencesOf(session.turns, ending)).toHaveLength(oldThoughts === "keep" ? 1 : 2);
    }
  });

  it("spells tools out for a template that knows none, and says so in the same rows", async () => {
    const { policy, session } = scripted([call("Lima"), "The sol."], smollm);
    const { choices } = await session.respond({ messages: [user("Which?")], tools });
    expect(policy.calls[0].prefixText).toMatch(/<\|im_start\|>system\n# Tools.*"search"/s);
    await session.respond({
      messages: [user("Which?"), said(choices[0]), result(choices[0].toolCalls[0].id, "Sol.")],
      tools,
    });
    expect(policy.calls[1].prefixText.slice(policy.calls[0].prefixText.length)).toBe(
      `${call("Lima")}<|im_end|>\n<|im_start|>user\n<tool_response>\nSol.\n</tool_response><|im_end|>\n<|im_start|>assistant\n`,
    );
  });

  it("writes Search-R1's one turn for a base model, and its observations", async () => {
    const policy = scriptedPolicy({
      tokenizer: byteTokenizer(),
      script: ["<search> Lima </search>", "<answer> sol </answer>"],
    });
    const session = new Session({ policy });
    const { choices } = await session.respond({ messages: [user("Q\n")], tools });
    expect(choices[0].toolCalls).toEqual([{ id: "call00000", name: "search", arguments: '{"query":"Lima"}' }]);
    const last = await session.respond({
      messages: [user("Q\n"), said(choices[0]), result("call00000", "Doc </information>")],
      tools,
    });
    expect(last.choices[0].content).toBe("sol");
    expect(policy.calls[1].prefixText).toBe(
      "Q\n<search> Lima </search>\n\n<information>Doc (/information)</information>\n\n",
    );
  });

  it("begins a branch for other messages, and trains what branches share once", async () => {
    const { session } = scripted(["One.", "Two.", "Three.", "Four.", "Five.", "Six."], qwen);
    const one = (await session.respond({ messages: [user("a")] })).choices[0];
    const history = [user("a"), said(one)];
    await session.respond({ messages: [...history, user("b")] });
    await session.respond({ messages: [...history, user("c")] });
    await session.respond({ messages: [user("a"), { role: "assistant", content: "Other." }, user("b")] });
    await session.respond({ messages: [user("a")], tools });
    await session.respond({ messages: [user("a")] });
    expect(session.counts.extended).toBe(2);
    const data = sequencesOf(session.turns, ending).map((sequence) => trajectoryToDatum(sequence));
    expect(data).toHaveLength(5);
    const sampled = data.reduce((sum, { sampledMask_T }) => sum + sampledMask_T.reduce((a, b) => a + b, 0), 0);
    expect(sampled).toBe(session.counts.sampledTokens);
  });

  it("ends a turn that was cut with a token that nobody sampled", async () => {
    const { policy, session } = scripted(["A long story.", "Yes."], qwen);
    const { choices } = await session.respond({ messages: [user("a")], maxTokens: 4 });
    expect(choices[0]).toMatchObject({ content: "A lo", finishReason: "length" });
    await session.respond({ messages: [user("a"), said(choices[0]), user("Go on.")] });
    expect(policy.calls[1].prefixText).toContain("A lo<|im_end|>\n<|im_start|>user\nGo on.");
    const roles = sequencesOf(session.turns, ending)[0].segments;
    expect(roles[1].tokens_T).toHaveLength(4);
  });

  it("gives n replies, each a branch, and stops where the client says", async () => {
    const { session } = scripted(["One stop two", "Three"], qwen);
    const { choices } = await session.respond({ messages: [user("a")], n: 2, stop: ["stop"] });
    expect(choices.map(({ content }) => content)).toEqual(["One ".trim(), "Three"]);
    const { row } = await session.respond({ messages: [user("a")] }).catch(() => ({ row: undefined }));
    expect(row).toBeUndefined();
    expect(sequencesOf(session.turns, ending)).toHaveLength(2);
  });

  it("refuses what is no conversation, and rows without room", async () => {
    const { session } = scripted([], qwen);
    await expect(session.respond({ messages: [] })).rejects.toThrow(/no messages/);
    await expect(session.respond({ messages: [user("a"), result("x", "b")] })).rejects.toThrow(
      /Message 2 is the result of the call "x"/,
    );
    await expect(session.respond({ messages: [user("x".repeat(9000))] })).rejects.toThrow(NoRoom);
    expect(session.turns).toEqual([]);
  });

  it("marks exactly what was sampled, each token once, over any history", async () => {
    const kinds = ["extend", "edit", "compact", "retry", "drop", "branch", "foreign", "tools", "several"] as const;
    const step = fc.record({ kind: fc.constantFrom(...kinds), at: fc.nat(), seed: fc.nat() });
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(qwen, qwen3, smollm),
        fc.array(step, { minLength: 1, maxLength: 7 }),
        async (tokenizer, steps) => {
          const { policy, prefixes, sampled } = babbler(tokenizer);
          const session = new Session({ policy, maxTokensPerTurn: 60 });
          let conversations: ConversationMessage[][] = [[user("Begin.")]];
          for (const { kind, at, seed } of steps) {
            const messages = conversations[at % conversations.length];
            const changed = change(kind, messages, seed);
            const { choices } = await session.respond({
              messages: changed,
              seed,
              n: kind === "several" ? 2 : 1,
              tools: kind === "tools" ? [] : tools,
            });
            const next = choices.map((choice): ConversationMessage[] => [
              ...changed,
              { role: "assistant", content: choice.content ?? "", toolCalls: choice.toolCalls },
              ...[...choice.toolCalls].reverse().map(({ id }) => result(id, `Found <|im_end|> ${seed}`)),
              ...(choice.toolCalls.length === 0 ? [user(`And ${seed}?`)] : []),
            ]);
            conversations = [...conversations, ...next];
          }
          const sequences = sequencesOf(session.turns, ending);
          const seen = new Map<number, number>();
          for (const { segments } of sequences) {
            let row_T: number[] = [];
            for (const { role, tokens_T, logprobs_T } of segments) {
              // A turn was sampled behind exactly what stands before it.
              if (role === "policy") {
                const [first] = logprobs_T as number[];
                expect(prefixes.get(first)).toEqual(row_T);
                logprobs_T?.forEach((logprob, t) => {
                  expect(seen.has(logprob)).toBe(false);
                  seen.set(logprob, tokens_T[t]);
                });
              } else expect(logprobs_T).toBeUndefined();
              row_T = [...row_T, ...tokens_T];
            }
          }
          expect(seen).toEqual(sampled);
        },
      ),
      { numRuns: 15 },
    );
  });
});

/** A policy of random turns whose every token has a log-probability of its own: by it the token is known wherever it goes. */
function babbler(tokenizer: Tokenizer) {
  const sampled = new Map<number, number>();
  const prefixes = new Map<number, number[]>();
  const words = ["Yes. ", call("Lima"), "<think>\nhm\n</think>\n\n", "<tool_call>", "\n", "No", "<|im_start|>user\n"];
  const policy: Pick<Policy, "sample" | "tokenizer" | "contextLength"> = {
    tokenizer,
    contextLength: 20_000,
    sample: (prefix_T, { seed = 0, maxTokens }) => {
      const random = new Random(seed);
      const text = Array.from({ length: 1 + random.integer(3) }, () => words[random.integer(words.length)]).join("");
      const all_T = tokenizer.encode(`${text}<|im_end|>`);
      const tokens_T = all_T.slice(0, maxTokens);
      const logprobs_T = tokens_T.map((token) => {
        const logprob = -1 - sampled.size;
        sampled.set(logprob, token);
        return logprob;
      });
      prefixes.set(logprobs_T[0], [...prefix_T]);
      return Promise.resolve({ tokens_T, logprobs_T, stopReason: all_T.length > maxTokens ? "length" : "stop" });
    },
  };
  return { policy, sampled, prefixes };
}

/** What agents do to a conversation before they send it. */
function change(kind: string, messages: readonly ConversationMessage[], seed: number): ConversationMessage[] {
  const sent = [...messages];
  if (kind === "edit") sent[0] = user(`Edited ${seed}.`);
  if (kind === "compact") return [user(`Summary of ${messages.length} messages.`)];
  if (kind === "retry") return sent.slice(0, 1 + sent.findLastIndex(({ role }) => role !== "assistant"));
  if (kind === "branch") return [user(`Sub-agent ${seed}.`)];
  if (kind === "foreign") return [...sent, { role: "assistant", content: "I never said this." }, user("Did you?")];
  if (kind === "drop")
    return sent.map((message) =>
      message.role === "assistant" && message.content === "" ? { ...message, content: null } : message,
    );
  return sent;
}

describe("a bridge", () => {
  const render = (source: string) => (messages: readonly ConversationMessage[]) =>
    createChatTemplate(source, {}).render(messages, { addGenerationPrompt: true });
  const history = [user("sleuthsentinel0"), { role: "assistant", content: "sleuthsentinel0 <|im_end|>" } as const];
  const find = (source: string, added: ConversationMessage[] = [user("Next <|im_end|>")]) =>
    findBridge({ render: render(source), ends: turnEnds(source), history, added });

  it("is found behind words that nobody said, whatever the messages hold", () => {
    expect(find(golden("qwen2.5"))).toEqual({
      end: "<|im_end|>",
      isOpening: false,
      text: "\n<|im_start|>user\nNext <|im_end|><|im_end|>\n<|im_start|>assistant\n",
    });
  });

  it.each([
    ["{{ raise_exception('no') }}", /cannot render.*no/],
    [
      "{% for m in messages if m.role == 'user' %}{{ m.content }}<|im_end|>{% endfor %}",
      /does not write what the assistant said/,
    ],
    ["{% for m in messages %}{{ m.content }}{% endfor %}", /no end of a turn that is known/],
    ["{% for m in messages %}{{ m.content }}{% endfor %}<|im_end|>", /before what follows/],
  ])("is none, with the reason, for %s", (source, reason) => {
    expect(find(source)).toEqual({ reason: expect.stringMatching(reason) });
  });

  it("begins behind the end that was sampled, at an end that was not, and keeps one that also begins what follows", () => {
    const glm =
      "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}{% endfor %}<|assistant|>{# <|user|> <|observation|> <|endoftext|> #}";
    const found = find(glm) as FoundBridge;
    expect(found).toEqual({ end: "<|user|>", isOpening: true, text: "\nNext <|im_end|><|assistant|>" });
    const tokenizer = byteTokenizer();
    const ends = turnEnds(glm);
    const behind = (text: string, bridge = found): string =>
      bridgeTokens(bridge, tokenizer.encode(text), { ends, tokenizer }).text;
    expect(behind("Yes.<|user|>")).toBe(found.text);
    expect(behind("Yes.<|endoftext|>")).toBe(`<|user|>${found.text}`);
    expect(behind("Yes.")).toBe(`<|user|>${found.text}`);
    const closed: FoundBridge = { end: "<|im_end|>", isOpening: false, text: "\n" };
    expect(behind("Yes.<|endoftext|>", closed)).toBe("\n");
    expect(behind("Yes.", closed)).toBe("<|im_end|>\n");
  });
});
