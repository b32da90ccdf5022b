/** @file The settings of a rollout in a run configuration: the group `rollout` and the rollout's switches of `faithful`. */
import { z } from "zod";
import { protocolNames } from "../prompts/protocol.js";
import { methodNames } from "./methods/named.js";

const count = z.int().positive();
const countOrZero = z.int().nonnegative();
/** What rollouts and transformers give every template themselves. */
const ownVariables = new Set(
  "messages tools documents add_generation_prompt bos_token eos_token pad_token unk_token loop namespace range raise_exception strftime_now true false none True False None".split(
    " ",
  ),
);
const templateVariables = z
  .record(z.string(), z.union([z.string().max(10_000), z.number(), z.boolean(), z.null()]))
  .refine(
    (variables) => Object.keys(variables).every((name) => /^[A-Za-z]\w*$/.test(name) && !ownVariables.has(name)),
    {
      error: `the names must be those of a template's own switches, such as enable_thinking, and none of ${[...ownVariables].join(", ")}`,
    },
  );
const off = z.boolean().default(false);
/** Tokens, or what a run's passages need. */
const tokensOrAuto = z.union([z.literal("auto"), count]).default("auto");

export const rolloutFields = {
  method: z
    .enum(methodNames)
    .default("search-r1")
    .describe(
      "how questions are answered (docs/baselines.md); all but search-r1 decide for themselves about prompt, context and searches",
    ),
  protocol: z
    .enum(["auto", ...protocolNames])
    .default("auto")
    .describe(
      "tags and prompt by which policy and search talk; auto: atlas for models raised on its tags (atlas-base), else search-r1, or r1 where no search is possible",
    ),
  chat: z
    .enum(["auto", "always", "never"])
    .default("auto")
    .describe(
      "put the prompt through the model's chat template; auto: where the model has one and the protocol's prompt is an instruction",
    ),
  templateVariables: templateVariables
    .default({})
    .describe("what the chat template is told besides the messages, such as enable_thinking=false"),
  context: z
    .enum(["none", "question"])
    .default("none")
    .describe(
      "question: search once with the question itself before the policy writes; with maxSearches=0 that is RAG",
    ),
  maxSearches: countOrZero.default(4).describe("searches the policy may make per question"),
  maxTokensPerTurn: count.default(64).describe("most tokens the policy writes before a search or an answer"),
  maxTokens: tokensOrAuto.describe(
    "most tokens of a whole trajectory, prompt and passages included; auto: what its searches need, at least 512, within the model's context",
  ),
  maxObservationTokens: tokensOrAuto.describe(
    "room for one search's passages; what does not fit is left out whole; auto: what 99 % of the corpus's passages need, at least 160",
  ),
  temperature: z
    .number()
    .positive()
    .default(1)
    .describe("of training rollouts; 1 samples the policy's own distribution"),
  topP: z
    .number()
    .gt(0)
    .max(1)
    .default(1)
    .describe("nucleus of training rollouts, whose log-probabilities are then those of the nucleus; 1: everything"),
  maxConcurrent: count.default(128).describe("attempts under way at once; the engine batches what they sample"),
};

export const rolloutDefaults = z.object(rolloutFields).parse({});

/** Budgets that depend on the passages, in tokens. */
export interface Budgets {
  maxTokens: number;
  maxObservationTokens: number;
}

/** The names of these settings. */
export const budgetKeys = ["maxTokens", "maxObservationTokens"] as const;

/** The least that `auto` stands for, and what it stands for where no passages can be measured. */
export const leastBudgets: Budgets = { maxTokens: 512, maxObservationTokens: 160 };

/** The budgets of settings in numbers; `auto` is the least that it stands for. */
export function budgetsOf(given: { [Key in keyof Budgets]: "auto" | number }): Budgets {
  const numberOf = (key: keyof Budgets): number => {
    const value = given[key];
    return value === "auto" ? leastBudgets[key] : value;
  };
  return { maxTokens: numberOf("maxTokens"), maxObservationTokens: numberOf("maxObservationTokens") };
}

/** What the released code does otherwise in a rollout. */
export const faithfulRolloutFields = {
  cutObservations: off.describe(
    "observations too long for their budget are cut, the closing tag included, instead of leaving passages out",
  ),
  searchTagFirst: off.describe(
    "a turn goes on past </answer>: where </search> follows, it ends there, else at </answer>; costs sampled tokens",
  ),
  dropEndOfText: off.describe("the end-of-text token of a turn is dropped: neither trained on nor read by later turns"),
  noStartToken: off.describe("prompts of base models do not begin with the BOS token of their texts"),
};
