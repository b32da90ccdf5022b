/** @file Searches of a row: before the policy writes, and between its turns; of what was found, the best passages that fit are shown. */
import { renderFailedSearch, renderPassages } from "../prompts/render.js";
import type { Passage, Question } from "../types.js";
import { askSearch, type SearchOutcome } from "./ask-search.js";
import { makeObservation, showPassages } from "./observation.js";
import { contextPlace, promptOf, type PromptMaker, type Settings } from "./settle.js";
import type { TrajectoryBuilder } from "./trajectory-builder.js";

/** `no-room`: the search is recorded, but the row cannot hold its block. */
export type SearchEnd = "found" | "failed" | "no-room";

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
export async function addSearch(row: TrajectoryBuilder, query: string, settings: Settings): Promise<SearchEnd> {
  const { policy, protocol, sanitizer, limit, signal, faithful } = settings;
  const tokenizer = policy.tokenizer;
  row.beginSearch(query);
  const { passages: found, waitedMs, error } = await search(row, query, settings);
  if (signal?.aborted) return "failed";
  // One token stays free, so that the policy can at least begin another turn.
  const room = limit - row.length - 1;
  const maxTokens = Math.min(settings.maxObservationTokens, room);
  if (error !== undefined) {
    row.endSearch({ query, passages: [], omittedPassages: 0, sanitized: 0, waitedMs, error });
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
  row.endSearch({ query, passages, omittedPassages, ...full, sanitized, waitedMs });
  if (observation === null) return "no-room";
  row.addEnvironment(observation.text, observation.tokens_T);
  return "found";
}

/** The prompt, and with `context` what a search with the question itself finds. */
export async function beginRow(
  row: TrajectoryBuilder,
  question: Question,
  settings: Settings,
): Promise<SearchEnd | null> {
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
  row.beginSearch(query);
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
  row.endSearch({
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
