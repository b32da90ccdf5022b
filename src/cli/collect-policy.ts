/** @file The policies that `sleuth collect` can ask: a scripted searcher without a model, or a model of this machine. */
import type { MemoryPlan, Policy } from "../contracts/policy.js";
import { scriptedPolicy } from "../policy/scripted.js";
import { byteTokenizer } from "../policy/testing.js";
import { protocolNamed } from "../prompts/protocol.js";
import { scriptedSearcher } from "../synthesis/transcripts/searcher.js";
import { mergeConfig, parseConfig, type Config } from "../train/config/config.js";
import { readModel } from "../train/model-folder.js";
import { openPolicy } from "../train/open-policy.js";
import type { Question } from "../types.js";

/** Who attempts the questions. */
export interface Collector {
  /** For people: "the scripted searcher". */
  name: string;
  /** Tokenizer and context, by which budgets are measured. */
  facts: Policy;
  policyFor: (question: Question, attempt: number) => Policy;
  memory?: MemoryPlan;
  close(): Promise<void>;
}

/** Where no model is named, a token is a byte: budgets are then no bound. */
const bytes = { contextLength: 1_000_000, maxTokensPerTurn: 2048 };

/**
 * The settings under which a scripted searcher attempts questions. Where a model is named, its tokenizer counts tokens, so that what fits here fits
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

/** A model is named by a flag, a file or a preset. */
const isUnnamed = ({ model }: Config): boolean => model.folder === parseConfig({}).model.folder;

/** @throws UserError when the model whose tokenizer counts cannot be read */
export async function scriptedCollector(config: Config, seed: number): Promise<Collector> {
  const { tokenizer, contextLength } = isUnnamed(config)
    ? { tokenizer: byteTokenizer(), contextLength: bytes.contextLength }
    : await readModel(config.model.folder);
  const { maxSearches } = config.rollout;
  const protocol = protocolNamed(config.rollout.protocol);
  return {
    name: "the scripted searcher",
    facts: scriptedPolicy({ tokenizer, contextLength, script: [] }),
    policyFor: ({ question }, attempt) =>
      scriptedSearcher({ question, protocol, tokenizer, contextLength, maxSearches, attempt, seed }),
    close: () => Promise.resolve(),
  };
}

/** @throws UserError when the model cannot be opened */
export async function modelCollector(config: Config): Promise<Collector> {
  const { value: policy, close } = await openPolicy(config, {}, "sampling");
  return { name: config.model.folder, facts: policy, policyFor: () => policy, memory: policy.memory, close };
}
