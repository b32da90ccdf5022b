/** @file What the passages of a corpus need of a rollout's budgets: a sample of them, rendered and tokenized as the policy will read them. */
import { mapInSlices } from "../async.js";
import type { Protocol } from "../prompts/protocol.js";
import { renderObservation, renderPassages } from "../prompts/render.js";
import type { Passage, Tokenizer } from "../types.js";
import { budgetsOf, leastBudgets, type Budgets } from "./settings.js";

/** Of the passages measured, how many have to fit. */
const share = 0.99;

/** Budgets are multiples of this, so that they do not change with every passage. Tokens. */
const step = 8;

/** What decides what a rollout needs. */
interface BudgetSettings {
  tokenizer: Tokenizer;
  /** Most tokens of a row that the model can read. */
  contextLength: number;
  /** Tokens of the longest prompt, without passages. */
  promptTokens: number;
  protocol: Protocol;
  context: "none" | "question";
  topK: number;
  maxSearches: number;
  maxTokensPerTurn: number;
  maxTokens: "auto" | number;
  maxObservationTokens: "auto" | number;
}

/** Budgets, and how far they reach. */
export interface MeasuredBudgets extends Budgets {
  /** The tokens that 99 % of the passages take at most, each in an observation of its own. */
  passageTokens: number;
  /** Of the passages measured, those of which `topK` fit. */
  fitting: number;
}

/**
 * Budgets with numbers in place of `auto`: room for `topK` of the longest passages but for one in a hundred, and for as many searches
 * as are allowed, within the model's context.
 * @param passages at least one, as they would be found
 * @throws the signal's reason
 */
export async function measureBudgets(
  passages: readonly Pick<Passage, "title" | "text">[],
  settings: BudgetSettings,
  signal?: AbortSignal,
): Promise<MeasuredBudgets> {
  const { tokenizer, protocol, topK, maxSearches, maxTokensPerTurn, contextLength, promptTokens } = settings;
  const frame = tokenizer.encode(renderObservation(protocol, [])).length;
  const longest = contextLength * charactersPerToken;
  const lengthOf = (passage: Pick<Passage, "title" | "text">): number =>
    passage.title.length + passage.text.length > longest
      ? Infinity
      : tokenizer.encode(renderPassages(protocol, [passage])).length;
  const lengths = (await mapInSlices(passages, lengthOf, signal)).sort((a, b) => a - b);
  const needed = frame + topK * (lengths[Math.ceil(share * lengths.length) - 1] + joint);

  const row = settings.maxTokens === "auto" ? contextLength : Math.min(settings.maxTokens, contextLength);
  // A search, what it found, and an answer.
  const room = row - promptTokens - 2 * maxTokensPerTurn - 1;
  const given = budgetsOf(settings);
  const maxObservationTokens =
    settings.maxObservationTokens === "auto"
      ? Math.max(leastBudgets.maxObservationTokens, Math.min(roundUp(needed), room))
      : given.maxObservationTokens;

  const observations = maxSearches + (settings.context === "question" ? 1 : 0);
  const whole =
    promptTokens + (maxSearches + 1) * maxTokensPerTurn + observations * Math.min(needed, maxObservationTokens);
  const maxTokens =
    settings.maxTokens === "auto"
      ? Math.min(contextLength, Math.max(leastBudgets.maxTokens, roundUp(whole)))
      : given.maxTokens;
  return {
    maxObservationTokens,
    maxTokens,
    passageTokens: (needed - frame) / topK + frame,
    fitting:
      lengths.filter((length) => frame + topK * (length + joint) <= maxObservationTokens).length / lengths.length,
  };
}

/** Two texts that are encoded together may take another token or two where they meet. */
const joint = 2;

/** As for observations: what is longer than so many characters per token of the context cannot fit, and is not tokenized. */
const charactersPerToken = 32;

function roundUp(tokens: number): number {
  return Math.ceil(tokens / step) * step;
}
