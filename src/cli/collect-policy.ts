/** @file The policies that `sleuth collect` can ask: a scripted searcher without a model, a model of this machine, or one behind a server. */
import type { MemoryPlan, Policy, ServerUsage } from "../contracts/policy.js";
import { scriptedPolicy } from "../policy/scripted.js";
import { byteTokenizer } from "../policy/testing.js";
import { scriptedSearcher } from "../synthesis/transcripts/searcher.js";
import { mergeConfig, parseConfig, type Config } from "../train/config/config.js";
import { readModel } from "../train/model-folder.js";
import type { OnNotice } from "../train/notices.js";
import { openPolicy } from "../train/open-policy.js";
import { isUnnamed, modelName } from "../train/served-model.js";
import type { ModelFacts } from "../train/budgets.js";
import type { Question } from "../types.js";
import { methodSettings } from "../rollout/methods/named.js";

/** Who attempts the questions. */
export interface Collector {
  /** For people: "the scripted searcher". */
  name: string;
  /** Tokenizer and context, by which budgets are measured. */
  facts: Policy;
  policyFor: (question: Question, attempt: number) => Policy;
  memory?: MemoryPlan;
  /** What a server says that it has used. */
  usage?: () => ServerUsage;
  close(): Promise<void>;
}

/** Where no model is named, a token is a byte: budgets are then no bound. */
const bytes = { contextLength: 1_000_000, maxTokensPerTurn: 2048 };

/**
 * The settings under which a scripted searcher or a served model attempts questions. Where a model is named, its tokenizer counts tokens, so that what fits here fits
 * there; the built-in default names none.
 */
export function scriptedConfig(config: Config): Config {
  if (!isUnnamed(config)) return config;
  const { maxTokensPerTurn } = bytes;
  const protocol = config.rollout.protocol === "auto" ? "search-r1" : config.rollout.protocol;
  return parseConfig(
    mergeConfig(config, {
      rollout: { protocol, maxTokensPerTurn, maxTokens: "auto", maxObservationTokens: "auto" },
    }),
  );
}

/** Tokenizer and context of the model that counts. @throws UserError when it cannot be read */
async function countedBy(config: Config): Promise<ModelFacts> {
  if (!isUnnamed(config)) return readModel(config.model.folder);
  return { tokenizer: byteTokenizer(), contextLength: bytes.contextLength };
}

/**
 * @param isTold whether the script sees the right answers
 * @throws UserError when the model whose tokenizer counts cannot be read
 */
export async function scriptedCollector(config: Config, isTold: boolean): Promise<Collector> {
  const { tokenizer, contextLength } = await countedBy(config);
  const { protocol, maxSearches } = methodSettings(config.rollout);
  return {
    name: isTold ? "the scripted searcher, told the answers" : "the scripted searcher",
    facts: scriptedPolicy({ tokenizer, contextLength, script: [] }),
    policyFor: ({ question, answers }, attempt) =>
      scriptedSearcher({
        ...{ question, protocol, tokenizer, contextLength, maxSearches, attempt },
        ...(isTold ? { answers } : {}),
      }),
    close: () => Promise.resolve(),
  };
}

/** A model of this machine or behind a server. @throws UserError when it cannot be opened */
export async function modelCollector(config: Config, onNotice?: OnNotice): Promise<Collector> {
  const { value: policy, close } = await openPolicy(config, {}, "sampling", { onNotice });
  const { memory, usage } = policy;
  return { name: modelName(config), facts: policy, policyFor: () => policy, memory, usage, close };
}
