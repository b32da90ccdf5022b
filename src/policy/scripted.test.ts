import { describe, expect, it } from "vitest";
import { criticCases } from "./conformance-critic.js";
import { trainingCases } from "./conformance-training.js";
import { policyConformance } from "./conformance.js";
import { scriptedPolicy } from "./scripted.js";
import { byteTokenizer } from "./testing.js";

const tokenizer = byteTokenizer();
const text = "The quick brown fox jumps over the lazy dog, again and again and again, until the context is full.";

policyConformance("scripted", () => scriptedPolicy({ tokenizer, contextLength: 64, script: () => text }), {
  lacks: [
    { reason: "it has no weights", tests: [...trainingCases, ...criticCases].map(({ name }) => name) },
    { reason: "it says the same whatever the seed", tests: ["other seeds give other tokens"] },
    {
      reason: "its log-probabilities are invented",
      tests: [
        "logprobs are of a distribution",
        "sampled log-probabilities are those of the temperature and the nucleus",
      ],
    },
  ],
});

describe("scripted", () => {
  it("replays texts in order, records its calls, and ends a text with the end of text", async () => {
    const policy = scriptedPolicy({ tokenizer, script: ["ab", "<search>q</search>c"], logprob: -0.5 });
    const first = await policy.sample(tokenizer.encode("x"), { maxTokens: 9, seed: 3 });
    expect(first).toEqual({ tokens_T: [97, 98, 256], logprobs_T: [-0.5, -0.5, -0.5], stopReason: "stop" });
    const second = await policy.sample(tokenizer.encode("y"), { maxTokens: 9, stop: { strings: ["</search>"] } });
    expect(tokenizer.decode(second.tokens_T)).toBe("<search>q</search>");
    expect(policy.calls.map(({ prefixText }) => prefixText)).toEqual(["x", "y"]);
    expect(policy.calls[0].options.seed).toBe(3);
    await expect(policy.sample([1], { maxTokens: 1 })).rejects.toThrow(/script has 2 texts and call 3/);
  });

  it("asks a function of the prefix and the number of the call", async () => {
    const policy = scriptedPolicy({ tokenizer, script: (prefix, turn) => `${prefix}${turn}` });
    await policy.sample(tokenizer.encode("a"), { maxTokens: 9 });
    const { tokens_T } = await policy.sample(tokenizer.encode("b"), { maxTokens: 9 });
    expect(tokenizer.decode(tokens_T)).toBe("b1<|endoftext|>");
  });

  it("says that it cannot train", async () => {
    const policy = scriptedPolicy({ tokenizer, script: [] });
    await expect(policy.forwardBackward([], { kind: "cross_entropy" })).rejects.toThrow(/no weights/);
    expect(policy.capabilities.training).toBe(false);
  });
});
