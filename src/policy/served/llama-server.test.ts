/** @file A served policy before a real llama.cpp server with SmolLM2. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Policy } from "../../contracts/policy.js";
import { smollm2 } from "../../engine/io/smollm2.test-support.js";
import { loadTokenizer } from "../../engine/io/tokenizer.js";
import { searchR1, searchR1Short } from "../../prompts/protocol.js";
import { rollout } from "../../rollout/rollout.js";
import { engineOf, passage, question } from "../../rollout/fixtures.test-support.js";
import { countingTokenizer } from "./counting-tokenizer.js";
import { llamaIsAbsent, llamaReason, startLlama, type LlamaServer } from "./llama-server.test-support.js";
import { createServedPolicy, type ServedOptions } from "./served.js";

const contextLength = 1024;
const tags = { think: searchR1.think, turns: [searchR1.search, searchR1.answer] };
const examples =
  "Question: Capital of Italy?\n<answer> Rome </answer>\nQuestion: Capital of Spain?\n<answer> Madrid </answer>\nQuestion: Capital of France?\n";

describe.skipIf(llamaIsAbsent)(`a llama.cpp server with SmolLM2${llamaReason}`, () => {
  let server: LlamaServer;
  const open = async (more: Partial<ServedOptions> & { tokenizer?: ServedOptions["tokenizer"] }): Promise<Policy> =>
    createServedPolicy({
      ...{ url: server.url, api: "completions", ownsTokenizer: false, contextLength: Infinity, tags, concurrency: 2 },
      tokenizer: countingTokenizer(),
      ...more,
    });
  beforeAll(async () => {
    server = await startLlama(contextLength);
  }, 70_000);
  afterAll(() => server?.stop());

  it("by completions: a stop string comes back behind the answer, tokens are counted, and a seed means the same text", async () => {
    const policy = await open({ tokenizer: await loadTokenizer(smollm2), ownsTokenizer: true });
    // It takes no ids as a prompt, and tells none.
    expect(policy.notes).toEqual([expect.stringMatching(/text-only/)]);
    const { tokenizer } = policy;
    const stop = { strings: ["</answer>"] };
    const greedy = await policy.sample(tokenizer.encode(examples), { maxTokens: 20, temperature: 0, stop });
    expect(greedy.text).toMatch(/^<answer> Paris ?<\/answer>$/);
    expect(greedy.stopReason).toBe("stop");
    expect(tokenizer.decode(greedy.tokens_T)).toBe(greedy.text);
    expect((await policy.stats()).sampledTokens).toBeGreaterThan(5);
    const seeded = (seed: number) => policy.sample(tokenizer.encode(examples), { maxTokens: 12, seed, stop: {} });
    const [one, same, other] = [await seeded(5), await seeded(5), await seeded(6)];
    expect(same.text).toBe(one.text);
    expect(other.text).not.toBe(one.text);
    const cut = await policy.sample(tokenizer.encode("Once upon a time"), { maxTokens: 3, temperature: 0 });
    expect(cut.stopReason).toBe("length");
    await policy.close();
  }, 60_000);

  it("by chat: a rollout goes to its end, and one for which there is no room ends as that", async () => {
    const policy = await open({ api: "chat" });
    const options = {
      ...{ policy, protocol: searchR1Short, chat: "never" as const, temperature: 0 },
      search: engineOf(() => [passage("Paris is the capital of France.", "France")]),
      ...{ maxSearches: 1, topK: 1, maxTokensPerTurn: 32, maxTokens: 4000, maxObservationTokens: 200 },
    };
    const { textOnly, finishReason, segments } = await rollout(question, options);
    expect(textOnly).toBe(true);
    expect(["answered", "out-of-turns"]).toContain(finishReason);
    expect(segments.filter(({ role }) => role === "policy").length).toBeGreaterThan(0);
    const long = { ...question, question: "Which word is it? ".repeat(500) };
    expect((await rollout(long, options)).finishReason).toBe("out-of-tokens");
    expect(policy.usage?.()).toMatchObject({ noRoom: 1, uncounted: 0 });
    await policy.close();
  }, 60_000);
});
