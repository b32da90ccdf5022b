/** @file What a rollout is asked for, made ready: defaults, the chat template's variables, the sanitizer, and the prompt with the check that it leaves room. */
import type { OnAttemptEvent } from "./attempt-event.js";
import type { z } from "zod";
import { UserError } from "../errors.js";
import type { Policy } from "../contracts/policy.js";
import { makePrompt, usesChat, withTemplateVariables, type ChatMode, type Prompt } from "../prompts/chat.js";
import { makeSanitizer, type Sanitizer } from "../prompts/sanitize.js";
import type { Protocol } from "../prompts/protocol.js";
import { renderFailedSearch, renderObservation, renderPassages, renderPrompt } from "../prompts/render.js";
import type { SearchEngine } from "../search/engine.js";
import type { Question, TemplateVariables, Tokenizer } from "../types.js";
import { rolloutDefaults, type faithfulRolloutFields } from "./settings.js";

export interface RolloutOptions {
  policy: Pick<Policy, "sample" | "tokenizer" | "contextLength">;
  search: SearchEngine;
  protocol: Protocol;
  /** Whether the prompt goes through the model's chat template. Default auto: where it has one and the protocol's prompt is an instruction. */
  chat?: ChatMode;
  /** What the chat template is told, such as `{ enable_thinking: false }`. Default nothing. */
  templateVariables?: TemplateVariables;
  /**
   * `question`: one search with the question itself comes first, whose passages stand in the prompt or, where the protocol's has no place
   * for them, in an observation behind it. `maxSearches` does not count it. Default none.
   */
  context?: "none" | "question";
  /** Turns that the environment answers; one more turn without search follows. A malformed turn counts as one. */
  maxSearches: number;
  /** Passages asked for per search. */
  topK: number;
  maxTokensPerTurn: number;
  /** Whole row: prompt, everything sampled and everything observed. The policy's context limits it too. */
  maxTokens: number;
  maxObservationTokens: number;
  /** Default 1: training samples the policy's own distribution. 0 is greedy. */
  temperature?: number;
  /** Nucleus that is sampled from; recorded log-probabilities are those of the nucleus. Default 1: everything. */
  topP?: number;
  /** Default 0. Each turn has its own stream derived from it. */
  seed?: number;
  /** Ends the trajectory as `cancelled`. */
  signal?: AbortSignal;
  /** Is told what happens, in order. Default: nobody. */
  onEvent?: OnAttemptEvent;
  /** Of one turn, queueing included. Past it the trajectory ends as `cancelled`. Default one hour. */
  policyTimeoutMs?: number;
  /** Of one search. Past it the search has failed. Default 30 seconds. */
  searchTimeoutMs?: number;
  /** False: the same prompt, but a search ends the trajectory as `out-of-turns`. Default true. */
  searchEnabled?: boolean;
  /** Failed searches in a row that are tolerated; one more ends the trajectory as `search-failed`. Default Infinity. */
  maxSearchFailures?: number;
  /** The released code's ways where ours differ. Default: none of them. */
  faithful?: FaithfulRollout;
}

/** Switches of the faithful mode that concern rollouts. */
export type FaithfulRollout = Partial<z.output<z.ZodObject<typeof faithfulRolloutFields>>>;

export type Settings = Required<Omit<RolloutOptions, "signal" | "onEvent">> & {
  signal?: AbortSignal;
  onEvent?: OnAttemptEvent;
  sanitizer: Sanitizer;
  /** Tokens of an observation without passages. */
  emptyBlock: number;
  /** Tokens the row can have. */
  limit: number;
};

/** A question whose prompt leaves no room to write. */
export class PromptTooLong extends UserError {}

const defaults = {
  chat: rolloutDefaults.chat,
  templateVariables: rolloutDefaults.templateVariables,
  context: rolloutDefaults.context,
  faithful: {},
  temperature: rolloutDefaults.temperature,
  topP: rolloutDefaults.topP,
  seed: 0,
  policyTimeoutMs: 3_600_000,
  searchTimeoutMs: 30_000,
  searchEnabled: true,
  maxSearchFailures: Infinity,
};

export function settle(options: RolloutOptions): Settings {
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const merged = { ...defaults, ...given } as Required<RolloutOptions>;
  const { protocol, maxObservationTokens } = merged;
  const policy = withVariables(merged);
  return {
    ...merged,
    policy,
    limit: Math.min(merged.maxTokens, policy.contextLength),
    ...preparedFor(protocol, policy.tokenizer, maxObservationTokens),
  };
}

/** The policy, its chat template told the variables. */
function withVariables({
  policy,
  chat,
  protocol,
  templateVariables,
}: Required<RolloutOptions>): RolloutOptions["policy"] {
  const names = Object.keys(templateVariables);
  if (names.length === 0) return policy;
  if (!usesChat(chat, protocol, policy.tokenizer)) {
    throw new UserError(
      `rollout.templateVariables sets ${names.join(", ")}, but prompts do not go through a chat template: the model has none, or rollout.chat ` +
        `or protocol ${protocol.name} do without. Leave the setting out, or set rollout.chat=always.`,
    );
  }
  return {
    tokenizer: withTemplateVariables(policy.tokenizer, templateVariables),
    contextLength: policy.contextLength,
    sample: (prefix_T, options) => policy.sample(prefix_T, options),
  };
}

type Prepared = Pick<Settings, "sanitizer" | "emptyBlock">;

const sanitizers = new WeakMap<Tokenizer, Map<Protocol, Prepared>>();

/** Prepared once per tokenizer and protocol, with the check that an empty information block fits its budget. */
function preparedFor(protocol: Protocol, tokenizer: Tokenizer, maxObservationTokens: number): Prepared {
  const known = sanitizers.get(tokenizer) ?? new Map<Protocol, Prepared>();
  sanitizers.set(tokenizer, known);
  const prepared = known.get(protocol) ?? {
    sanitizer: makeSanitizer(protocol, tokenizer),
    emptyBlock: Math.max(
      ...[renderObservation(protocol, []), renderFailedSearch(protocol)].map((text) => tokenizer.encode(text).length),
    ),
  };
  known.set(protocol, prepared);
  if (prepared.emptyBlock > maxObservationTokens) {
    throw new UserError(
      `maxObservationTokens is ${maxObservationTokens}, but an information block without any passage takes ${prepared.emptyBlock} tokens in protocol ${protocol.name}: no passage could ever be shown. Set it to ${prepared.emptyBlock} plus the tokens of topK passages.`,
    );
  }
  return prepared;
}

/** A question's prompt, by what was found for it beforehand; undefined where nothing was looked for, or has no place in it. */
export type PromptMaker = (context?: string) => Prompt;

/** @throws UserError when the prompt leaves no room to write, with the empty block that stands in it or follows it at least */
export function promptOf(question: Question, settings: Settings): PromptMaker {
  const { protocol, policy, chat, limit, faithful } = settings;
  // A question is data too: a special token in it would be as real to the model as one in a passage.
  const asked = { question: settings.sanitizer.sanitize(question.question).text };
  const make: PromptMaker = (context) =>
    makePrompt(renderPrompt(protocol, asked, context), policy.tokenizer, {
      mode: chat,
      protocol,
      noStartToken: faithful.noStartToken,
    });
  const place = contextPlace(settings);
  const { tokens_T } = make(place === "prompt" ? renderPassages(protocol, []) : undefined);
  const needed = tokens_T.length + (place === "observation" ? settings.emptyBlock : 0);
  if (needed < limit) return make;
  const source = limit === settings.maxTokens ? "maxTokens" : "the policy's context";
  const what = place === "observation" ? "prompt and the empty block behind it have" : "prompt has";
  throw new PromptTooLong(
    `Question ${question.id}: its ${what} ${needed} tokens and ${source} allows ${limit} for the whole row, so there is no room to write. Shorten the question, leave it out, or raise the limit.`,
  );
}

/** Where the passages go that are found before the policy writes. */
export function contextPlace({ context, protocol }: Settings): "prompt" | "observation" | null {
  if (context === "none") return null;
  return protocol.contextPrompt === undefined ? "observation" : "prompt";
}
