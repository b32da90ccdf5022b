/**
 * @file One attempt at one question: Search-R1's turn loop (arXiv:2503.09516, algorithm 1) with its defects repaired.
 *
 * Departures from the released code:
 * 1. Decoding stops at `</search>` or `</answer>`; nothing is sampled and thrown away.
 * 2. Sampled ids are kept and observation ids appended; text is never tokenized again.
 * 3. Passages are left out whole when they do not fit, and the next ones that fit take their places; `</information>` is always there.
 *    Neither the beginning nor the end of a row is ever cut off.
 * 4. Passages are sanitized, and only what the policy wrote is parsed.
 * 5. Every wait has a deadline; a failed search becomes an empty, marked observation.
 * 6. Every trajectory says why it ended.
 * 7. A base model's prompt begins with the token that its texts begin with (the released code adds none).
 * 8. An end-of-text token that the policy wrote stays in the row: it was sampled, so it is trained on. (The released code drops it when it
 *    tokenizes the text again.) What the environment says next follows it directly, inside the same assistant's turn.
 * `faithful` takes back what can be taken back of 1, 3, 7 and 8; docs/papers.md has the table.
 */
import type { z } from "zod";
import { DeadlineError, withDeadline } from "../async.js";
import { UserError } from "../errors.js";
import type { Policy, Sample } from "../contracts/policy.js";
import { makePrompt, usesChat, withTemplateVariables, type ChatMode, type Prompt } from "../prompts/chat.js";
import type { Sanitizer } from "../prompts/sanitize.js";
import { makeSanitizer } from "../prompts/sanitize.js";
import { endIds, parseAction, turnStops } from "../prompts/parse.js";
import type { Protocol } from "../prompts/protocol.js";
import { renderFailedSearch, renderObservation, renderPassages, renderPrompt } from "../prompts/render.js";
import { deriveSeed } from "../random.js";
import type { SearchEngine } from "../search/engine.js";
import type { Passage, Question, TemplateVariables, Tokenizer, Trajectory } from "../types.js";
import { askSearch, type SearchOutcome } from "./ask-search.js";
import { makeObservation, showPassages } from "./observation.js";
import { TrajectoryBuilder } from "./trajectory-builder.js";
import { rolloutDefaults, type Budgets, type faithfulRolloutFields } from "./settings.js";

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

type Settings = Required<Omit<RolloutOptions, "signal">> & {
  signal?: AbortSignal;
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

/**
 * Lets the policy work on a question until it answers or a budget is used up.
 * @returns the trajectory, always with a finish reason; an abort or a policy's deadline ends it as `cancelled` and keeps
 *   the turns that were complete.
 * @throws UserError when the prompt leaves no room to write, when the observation budget is below the empty block's size, and when the
 *   prompt cannot go through a chat template as it should;
 *   whatever the policy rejects with.
 */
export async function rollout(question: Question, options: RolloutOptions): Promise<Trajectory> {
  const settings = settle(options);
  const row = new TrajectoryBuilder(question.id);
  const context = await beginRow(row, question, settings);
  if (settings.signal?.aborted) return row.finish("cancelled");
  let failures = context === "failed" ? 1 : 0;
  if (failures > settings.maxSearchFailures) return row.finish("search-failed");
  for (let turn = 0; ; turn++) {
    const isLastTurn = turn >= settings.maxSearches;
    const begun = isLastTurn ? beginLastTurn(row, settings) : "";
    if (row.length >= settings.limit) return row.finish("out-of-tokens");
    const text = await takeTurn(row, turn, settings);
    if (text === null) return row.finish("cancelled");
    if (text === "no-room") return row.finish("out-of-tokens");

    const action = parseAction(joined(begun, text.said), settings.protocol);
    if (action.kind === "answer") return row.finish("answered", action.answer);
    if (action.kind === "malformed") {
      if (text.isCut) row.cutTurns++;
      const ended = addComplaint(row, text.stopReason, isLastTurn, settings);
      if (ended !== null) return row.finish(ended);
      continue;
    }
    if (isLastTurn || !settings.searchEnabled) return row.finish("out-of-turns");
    const outcome = await addSearch(row, action.query, settings);
    if (settings.signal?.aborted) return row.finish("cancelled");
    failures = outcome === "failed" ? failures + 1 : 0;
    if (failures > settings.maxSearchFailures) return row.finish("search-failed");
    if (outcome === "no-room") return row.finish("out-of-tokens");
  }
}

/**
 * Checks a question without asking it, so that a run can find out before its first step.
 * @throws UserError as `rollout` does: the prompt leaves no room to write, or no passage could ever be shown
 */
export function requireRoom(question: Question, options: RolloutOptions): void {
  promptOf(question, settle(options));
}

/**
 * Tokens of a question's prompt, without passages.
 * @throws UserError when it cannot go through a chat template as it should
 */
export function promptTokens(
  question: Question,
  { policy, ...options }: Omit<RolloutOptions, keyof Budgets | "policy"> & { policy: { tokenizer: Tokenizer } },
): number {
  const unbounded = { maxTokens: Infinity, maxObservationTokens: Infinity };
  const sample = (): Promise<never> => Promise.reject(new Error("internal: a prompt is measured, and nothing sampled"));
  const settings = settle({ ...options, ...unbounded, policy: { sample, contextLength: Infinity, ...policy } });
  return promptOf(question, settings)().tokens_T.length;
}

function settle(options: RolloutOptions): Settings {
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
type PromptMaker = (context?: string) => Prompt;

/** @throws UserError when the prompt leaves no room to write, with the empty block that stands in it or follows it at least */
function promptOf(question: Question, settings: Settings): PromptMaker {
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
function contextPlace({ context, protocol }: Settings): "prompt" | "observation" | null {
  if (context === "none") return null;
  return protocol.contextPrompt === undefined ? "observation" : "prompt";
}

/** The prompt, and with `context` what a search with the question itself finds. */
async function beginRow(row: TrajectoryBuilder, question: Question, settings: Settings): Promise<SearchEnd | null> {
  const prompt = promptOf(question, settings);
  const place = contextPlace(settings);
  if (place === "prompt") return addContextPrompt(row, question.question, prompt, settings);
  const { text, tokens_T } = prompt();
  row.addPrompt(text, tokens_T);
  return place === "observation" ? addSearch(row, question.question, settings) : null;
}

/** A prompt with passages in it: budgets and failures are those of any search. */
async function addContextPrompt(
  row: TrajectoryBuilder,
  query: string,
  prompt: PromptMaker,
  settings: Settings,
): Promise<SearchEnd> {
  const { protocol, policy, sanitizer, maxObservationTokens, limit, topK: most } = settings;
  const { passages: found, waitedMs, error } = await search(row, query, settings);
  const empty = prompt(renderPassages(protocol, []));
  const room = limit - 1 - empty.tokens_T.length;
  const show: Show = (passages) =>
    showPassages(passages, {
      tokenizer: policy.tokenizer,
      sanitizer,
      most,
      maxTokens: empty.tokens_T.length + Math.min(maxObservationTokens, room),
      render: (shown) => prompt(renderPassages(protocol, shown)),
    });
  const shown = error === undefined ? await showBest(row, query, { found, show }, settings) : null;
  if (settings.signal?.aborted) {
    row.addPrompt(empty.text, empty.tokens_T);
    return "failed";
  }
  const { text, tokens_T } = shown ?? (error === undefined ? empty : prompt(protocol.failedSearch));
  const { passages = [], omittedPassages = found.length, sanitized = 0 } = shown ?? {};
  row.addPrompt(text, tokens_T);
  row.searches.push({
    query,
    passages,
    omittedPassages,
    ...(omittedPassages > 0 && room < maxObservationTokens ? { rowWasFull: true as const } : {}),
    sanitized,
    waitedMs,
    ...(error === undefined ? {} : { error }),
  });
  return error === undefined ? "found" : "failed";
}

/** What the environment writes before the last turn, added where there is room for it and for a word of the policy. */
function beginLastTurn(row: TrajectoryBuilder, { protocol, policy, limit }: Settings): string {
  const { lastTurn = "" } = protocol;
  if (lastTurn === "") return "";
  const tokens_T = policy.tokenizer.encode(lastTurn);
  if (row.length + tokens_T.length >= limit) return "";
  row.addEnvironment(lastTurn, tokens_T);
  return lastTurn;
}

/** A turn with what the environment has begun it with, which some models write again. */
function joined(begun: string, said: string): string {
  return said.trimStart().startsWith(begun.trim()) ? said : begun + said;
}

interface Turn {
  /** What it is read by: where turns have no tags, without the token that ended it. */
  said: string;
  stopReason: Sample["stopReason"];
  /** The most tokens of a turn, and not those of the row, ended it. */
  isCut: boolean;
}

/** Samples one turn into the row; null when it was cancelled or its deadline passed, `no-room` where a server has none for the row. */
async function takeTurn(row: TrajectoryBuilder, turn: number, settings: Settings): Promise<Turn | "no-room" | null> {
  const { policy, signal, temperature, topP, protocol } = settings;
  const maxTokens = Math.min(settings.maxTokensPerTurn, settings.limit - row.length);
  const stop = turnStops(policy.tokenizer, protocol, { pastAnswer: settings.faithful.searchTagFirst });
  const seed = deriveSeed(settings.seed, turn);
  const prefix_T = [...row.tokens_T];
  const prefixTexts = row.written();
  const started = performance.now();
  try {
    const sampled = await withDeadline(
      (inner) => policy.sample(prefix_T, { maxTokens, stop, temperature, topP, seed, signal: inner, prefixTexts }),
      { timeoutMs: settings.policyTimeoutMs, signal },
    );
    checkSample(sampled, maxTokens);
    if (sampled.tokens_T.length === 0 && sampled.stopReason === "length") return "no-room";
    const sample = keptOf(sampled, settings);
    // A reading of a text by another tokenizer need not give it back.
    const isWhole = sample.tokens_T.length === sampled.tokens_T.length;
    const written = (isWhole ? sample.text : undefined) ?? policy.tokenizer.decode(sample.tokens_T);
    row.addPolicy(written, sample);
    const isCut = sample.stopReason === "length" && maxTokens === settings.maxTokensPerTurn;
    const said = protocol.untagged === undefined ? written : withoutEnd(sample.tokens_T, policy.tokenizer);
    return { said, stopReason: sample.stopReason, isCut };
  } catch (error) {
    if (error instanceof DeadlineError || signal?.aborted) return null;
    throw error;
  } finally {
    row.timing.policyMs += performance.now() - started;
  }
}

/** The text of a turn without the tokens that say that there is nothing to add. */
function withoutEnd(tokens_T: readonly number[], tokenizer: Tokenizer): string {
  const ends = new Set(endIds(tokenizer));
  let length = tokens_T.length;
  while (length > 0 && ends.has(tokens_T[length - 1])) length--;
  return tokenizer.decode(tokens_T.slice(0, length));
}

function checkSample(sample: Sample, maxTokens: number): void {
  const { tokens_T, logprobs_T, text } = sample;
  if (tokens_T.length !== logprobs_T.length || (text === undefined && tokens_T.length > maxTokens)) {
    throw new Error(
      `internal: the policy sampled ${tokens_T.length} tokens with ${logprobs_T.length} log-probabilities where at most ${maxTokens} were asked for`,
    );
  }
}

/** Faithful mode: what the released code keeps of a turn (generation.py:54-75), cut between tokens. Otherwise all of it. */
function keptOf(sample: Sample, { faithful, protocol, policy: { tokenizer } }: Settings): Sample {
  const { tokens_T } = sample;
  let length = tokens_T.length;
  if (faithful.dropEndOfText) {
    const ends = new Set(endIds(tokenizer));
    while (length > 1 && ends.has(tokens_T[length - 1])) length--;
  }
  const holds = (count: number, tag: string): boolean => tokenizer.decode(tokens_T.slice(0, count)).includes(tag);
  const searched = protocol.searches && holds(length, protocol.search[1]);
  const [, answered] = protocol.answer;
  if (faithful.searchTagFirst && !searched && holds(length, answered)) {
    // The fewest tokens whose text holds the tag.
    let least = 1;
    while (least < length) {
      const middle = (least + length) >> 1;
      if (holds(middle, answered)) length = middle;
      else least = middle + 1;
    }
  }
  if (length === tokens_T.length) return sample;
  return { ...sample, tokens_T: tokens_T.slice(0, length), logprobs_T: sample.logprobs_T.slice(0, length) };
}

/** After a turn that is neither search nor answer: tells the policy so and returns null, or returns why this is the end. */
function addComplaint(
  row: TrajectoryBuilder,
  stopReason: Sample["stopReason"],
  isLastTurn: boolean,
  settings: Settings,
): "malformed" | "out-of-tokens" | "out-of-turns" | null {
  const { protocol, policy, limit } = settings;
  if (row.length >= limit) return "out-of-tokens";
  // Without a second chance, a turn cut by its own token limit is short of tokens rather than malformed.
  if (protocol.invalidAction === null) return stopReason === "length" ? "out-of-tokens" : "malformed";
  if (isLastTurn) return "out-of-turns";
  const tokens_T = policy.tokenizer.encode(protocol.invalidAction);
  if (row.length + tokens_T.length >= limit) return "out-of-tokens";
  row.addEnvironment(protocol.invalidAction, tokens_T);
  return null;
}

/** `no-room`: the search is recorded, but the row cannot hold its block. */
type SearchEnd = "found" | "failed" | "no-room";

async function search(row: TrajectoryBuilder, query: string, settings: Settings): Promise<SearchOutcome> {
  const { topK, searchTimeoutMs: timeoutMs, signal } = settings;
  const outcome = await askSearch(settings.search, query, { topK, timeoutMs, signal });
  row.timing.searchMs += outcome.waitedMs;
  return outcome;
}

type Show = (found: readonly Passage[]) => ReturnType<typeof showPassages>;

/**
 * The best passages that fit. Where one of the `topK` best does not, the engine is asked for those behind them, and the next ones that fit take
 * its place; a search that fails at that leaves it empty.
 */
async function showBest(
  row: TrajectoryBuilder,
  query: string,
  { found, show }: { found: readonly Passage[]; show: Show },
  settings: Settings,
): Promise<ReturnType<Show>> {
  const { topK, faithful } = settings;
  const shown = show(found);
  if (shown === null || shown.omittedPassages === 0 || found.length < topK || faithful.cutObservations) return shown;
  const more = await search(row, query, { ...settings, topK: topK + Math.min(3 * topK, 12) });
  return more.passages.length > found.length ? show(more.passages) : shown;
}

/** Searches and appends what was found. */
async function addSearch(row: TrajectoryBuilder, query: string, settings: Settings): Promise<SearchEnd> {
  const { policy, protocol, sanitizer, limit, signal, faithful } = settings;
  const tokenizer = policy.tokenizer;
  const { passages: found, waitedMs, error } = await search(row, query, settings);
  if (signal?.aborted) return "failed";
  // One token stays free, so that the policy can at least begin another turn.
  const room = limit - row.length - 1;
  const maxTokens = Math.min(settings.maxObservationTokens, room);
  if (error !== undefined) {
    row.searches.push({ query, passages: [], omittedPassages: 0, sanitized: 0, waitedMs, error });
    const text = renderFailedSearch(protocol);
    const tokens_T = tokenizer.encode(text);
    if (tokens_T.length > maxTokens) return "no-room";
    row.addEnvironment(text, tokens_T);
    return "failed";
  }
  const cut = faithful.cutObservations;
  const show: Show = (passages) =>
    makeObservation(passages, { protocol, tokenizer, sanitizer, maxTokens, most: settings.topK, cut });
  const observation = await showBest(row, query, { found, show }, settings);
  if (signal?.aborted) return "failed";
  const { passages = [], omittedPassages = found.length, sanitized = 0 } = observation ?? {};
  const full = omittedPassages > 0 && room < settings.maxObservationTokens ? { rowWasFull: true as const } : {};
  row.searches.push({ query, passages, omittedPassages, ...full, sanitized, waitedMs });
  if (observation === null) return "no-room";
  row.addEnvironment(observation.text, observation.tokens_T);
  return "found";
}
