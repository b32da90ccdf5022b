/** @file The settings of rewards in a run configuration: the group `reward` and the switch of `faithful` for their scoring. */
import { z } from "zod";

const count = z.int().positive();
const countOrZero = z.int().nonnegative();

export const rewardFields = {
  weights: z
    .record(z.string(), z.number())
    .default({ "exact-match": 1 })
    .describe("weight of each reward by name; the reward of a trajectory is their weighted sum"),
  stages: z
    .array(z.strictObject({ from: countOrZero, weights: z.record(z.string(), z.number()) }))
    .default([])
    .describe("other weights from a step on, as [{ from: 100, weights: { exact-match: 1 } }]"),
  lengthBudget: countOrZero.default(256).describe("length: tokens of the policy that are free"),
  lengthPrice: z.number().nonnegative().default(0.001).describe("length: price of each further token, 0.3 at most"),
  overlongBuffer: countOrZero
    .default(0)
    .describe("overlong: tokens before rollout.maxTokens over which the punishment grows; 0: a fifth of them"),
  judgeUrl: z
    .string()
    .default("")
    .describe("llm-judge: a server with OpenAI's chat completions, as http://127.0.0.1:11434/v1"),
  judgeModel: z.string().default("").describe("llm-judge: the model, as its server calls it"),
  judgePrompt: z
    .string()
    .default("")
    .describe("llm-judge: other instructions, with {question}, {answers}, {answer} and {verdict}; empty: Sleuth's own"),
  judgeScale: z
    .enum(["yes-no", "score"])
    .default("yes-no")
    .describe("llm-judge: right or wrong, or a number from 0 to 1"),
  judgeBody: z
    .record(z.string(), z.unknown())
    .default({ temperature: 0, max_tokens: 1024 })
    .describe("llm-judge: further fields of each request"),
  judgeConcurrency: count.default(8).describe("llm-judge: judgements at once"),
  judgePerMinute: countOrZero.default(0).describe("llm-judge: requests a minute, retries included; 0: no limit"),
  judgeTimeoutMs: count
    .default(30_000)
    .describe("llm-judge: longest wait for one request, which is retried three times"),
  judgeCache: z
    .string()
    .default("")
    .describe("llm-judge: folder in which verdicts are kept; empty: ~/.cache/sleuth/judge; none: ask anew each time"),
  judgeFailure: z
    .enum(["exact-match", "stop"])
    .default("exact-match")
    .describe("llm-judge: what a judgement becomes that failed after all tries: exact match, or the end of the run"),
};

export const rewardDefaults = z.object(rewardFields).parse({});

export const faithfulRewardFields = {
  textScoring: z
    .boolean()
    .default(false)
    .describe("rewards read the last of two or more answer tags in the whole text, the prompt's example included"),
};
