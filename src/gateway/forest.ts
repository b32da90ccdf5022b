/**
 * @file The forest of a session's turns: which turn a request goes on behind, and the training sequences of an attempt, in which a token that was
 * sampled once carries loss once.
 */
import type { Sample } from "../contracts/policy.js";
import { UserError } from "../errors.js";
import { splitThought, type ReadTurn } from "../prompts/tool-calls/format.js";
import { canonicalJson } from "../prompts/tool-calls/json-text.js";
import { TrajectoryBuilder } from "../rollout/trajectory-builder.js";
import type { ConversationMessage, FinishReason, ToolCall, Trajectory } from "../types.js";
import type { AssistantMessage } from "./bridge.js";

/** One turn of the policy, with what stands between it and the turn before. */
export interface Turn {
  /** The turn that it goes on behind; null where a row begins. */
  parent: Turn | null;
  /** Messages between the parent's and this one. */
  added: readonly ConversationMessage[];
  /** The tools that were offered, as one text: rows with others begin otherwise. */
  toolsKey: string;
  /** `added` as the policy saw it: the whole prompt, or the bridge. */
  context: { text: string; tokens_T: number[] };
  sample: Sample;
  /** The sampled tokens as text. */
  text: string;
  read: ReadTurn;
  /** As the client got it. */
  message: AssistantMessage;
  /** Everything from the beginning of the row, this turn included. */
  row_T: readonly number[];
  /** Messages from the beginning of the row, this turn's included. */
  historyLength: number;
  /** Why a row begins here; absent behind a parent. */
  reason?: string;
  /** Milliseconds. */
  policyMs: number;
}

/**
 * The messages with results of tools in the order of their calls: clients return them in the order in which they came.
 * @throws UserError for an empty conversation, and for a result of a call that nobody made
 */
export function inCallOrder(messages: readonly ConversationMessage[]): ConversationMessage[] {
  if (messages.length === 0)
    throw new UserError(
      "The request has no messages. Send the conversation so far, beginning with the user's message.",
    );
  const ordered: ConversationMessage[] = [];
  const known = new Map<string, number>();
  for (const [index, message] of messages.entries()) {
    if (message.role === "assistant") for (const { id } of message.toolCalls ?? []) known.set(id, known.size);
    if (message.role !== "tool") {
      ordered.push(message);
      continue;
    }
    const place = known.get(message.toolCallId);
    if (place === undefined) {
      throw new UserError(
        `Message ${index + 1} is the result of the call ${JSON.stringify(message.toolCallId)}, which no message before it makes. Send the assistant's message with its tool_calls before their results.`,
      );
    }
    let at = ordered.length;
    for (
      let before = ordered[at - 1];
      before?.role === "tool" && (known.get(before.toolCallId) ?? 0) > place;
      before = ordered[at - 1]
    )
      at--;
    ordered.splice(at, 0, message);
  }
  return ordered;
}

/**
 * The turn behind which a conversation goes on: of those whose messages it begins with, the one with most messages; of several the one whose calls have
 * the ids that the client returns, and then the latest.
 */
export function lastShared(
  turns: readonly Turn[],
  messages: readonly ConversationMessage[],
  toolsKey: string,
): Turn | undefined {
  const fits = new Map<Turn | null, boolean>([[null, true]]);
  let best: { turn: Turn; rank: number } | undefined;
  // Parents are complete before their children.
  for (const turn of turns) {
    const isFit = fits.get(turn.parent) === true && turn.toolsKey === toolsKey && extendsBy(messages, turn);
    fits.set(turn, isFit);
    if (!isFit) continue;
    const rank = 2 * turn.historyLength + (hasSameIds(messages[turn.historyLength - 1], turn.message) ? 1 : 0);
    if (best === undefined || rank >= best.rank) best = { turn, rank };
  }
  return best?.turn;
}

/** Whether a conversation holds a turn, and the messages before it, where they stand in its row. */
function extendsBy(messages: readonly ConversationMessage[], { added, message, historyLength }: Turn): boolean {
  if (messages.length < historyLength) return false;
  const start = historyLength - 1 - added.length;
  return [...added, message].every((one, index) => isSame(messages[start + index], one));
}

/** Whether a message that a client sends is one that is known: by what it says and calls, not by what clients leave out or write in another way. */
function isSame(sent: ConversationMessage, known: ConversationMessage): boolean {
  if (sent.role !== known.role) return false;
  if (sent.role !== "assistant" || known.role !== "assistant") return sent.content === known.content;
  const [calls, knownCalls] = [sent.toolCalls ?? [], known.toolCalls ?? []];
  const isSameCall = (call: ToolCall, index: number): boolean =>
    call.name === knownCalls[index].name &&
    canonicalJson(call.arguments) === canonicalJson(knownCalls[index].arguments);
  if (calls.length !== knownCalls.length || !calls.every(isSameCall)) return false;
  // Left out, or put into the content, by most clients.
  const thought = sent.reasoning?.trim();
  if (thought && thought !== known.reasoning?.trim()) return false;
  const [said, knownSaid] = [sent.content ?? "", known.content ?? ""].map((content) => content.trim());
  if (said === knownSaid) return true;
  const { thought: told, rest } = splitThought(said);
  return told !== "" && told === known.reasoning?.trim() && rest.trim() === knownSaid;
}

function hasSameIds(sent: ConversationMessage, known: AssistantMessage): boolean {
  if (sent.role !== "assistant") return false;
  const ids = (message: AssistantMessage): string => JSON.stringify((message.toolCalls ?? []).map(({ id }) => id));
  return ids(sent) === ids(known);
}

/** How an attempt ended. */
export interface AttemptEnd {
  questionId: string;
  finishReason: FinishReason;
  answer: string | null;
}

/**
 * The training sequences of an attempt, one for each turn that nothing follows, in the order in which those were complete. A turn that several share
 * belongs to the first; in the others, everything up to the first turn that is their own is prompt. So every sampled token carries loss once.
 */
export function sequencesOf(turns: readonly Turn[], { questionId, finishReason, answer }: AttemptEnd): Trajectory[] {
  const followed = new Set(turns.map(({ parent }) => parent));
  const taken = new Set<Turn>();
  return turns
    .filter((turn) => !followed.has(turn))
    .map((leaf) => {
      const path: Turn[] = [];
      for (let at: Turn | null = leaf; at !== null; at = at.parent) path.unshift(at);
      const own = path.findIndex((turn) => !taken.has(turn));
      const row = new TrajectoryBuilder(questionId);
      const before = path.slice(0, own);
      const prompt = before.map(({ context, text }) => context.text + text).join("") + path[own].context.text;
      row.addPrompt(prompt, [...(path[own].parent?.row_T ?? []), ...path[own].context.tokens_T]);
      path.slice(own).forEach((turn, index) => {
        if (index > 0) row.addEnvironment(turn.context.text, turn.context.tokens_T);
        row.addPolicy(turn.text, turn.sample);
        row.timing.policyMs += turn.policyMs;
        taken.add(turn);
      });
      return row.finish(finishReason, answer);
    });
}
