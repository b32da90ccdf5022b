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
import type { Sample } from "../contracts/policy.js";
import { parseAction, thoughtOf } from "../prompts/parse.js";
import type { Question, Tokenizer, Trajectory } from "../types.js";
import { addSearch, beginRow } from "./row-search.js";
import { promptOf, settle, type RolloutOptions, type Settings } from "./settle.js";
import type { Budgets } from "./settings.js";
import { TrajectoryBuilder } from "./trajectory-builder.js";
import { takeTurn } from "./turn.js";

export { PromptTooLong, type FaithfulRollout, type RolloutOptions } from "./settle.js";

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
  const row = new TrajectoryBuilder(question.id, options.onEvent);
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
    const thought = thoughtOf(text.plain, action, settings.protocol);
    if (thought !== "") settings.onEvent?.({ kind: "thought", text: thought });
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
