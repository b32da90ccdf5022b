/**
 * @file The bridge between two turns of one conversation: the tokens that stand between what the policy sampled and where it writes next. The row goes
 * on as sampled + bridge, and what was sampled is never rendered again: most templates do not repeat a turn as it was written.
 *
 * A copy of the policy's last message, in which a sentinel stands for its words, is rendered with what came after it. The first end of a turn behind
 * the sentinel is where the sampled tokens end; what follows is the bridge. For the rules on ends, see `bridgeTokens`.
 */
import { UserError } from "../errors.js";
import type { TurnEnds } from "../prompts/turn-ends.js";
import type { ConversationMessage, Tokenizer } from "../types.js";

export type AssistantMessage = Extract<ConversationMessage, { role: "assistant" }>;

export interface BridgeRequest {
  /**
   * The conversation as text, ending where the assistant begins to write.
   * @throws UserError where it cannot be rendered
   */
  render: (messages: readonly ConversationMessage[]) => string;
  ends: TurnEnds;
  /** Everything up to the policy's last turn and with it. */
  history: readonly ConversationMessage[];
  /** What came after it; may be empty. */
  added: readonly ConversationMessage[];
  /**
   * Places in `history` of the policy's turns with thoughts that the row still holds. Given: there is no bridge where the template would no
   * longer show one of these thoughts.
   */
  thoughtful?: readonly number[];
}

/** What a template writes from the end of the policy's turn on. */
export interface FoundBridge {
  /** The end of the turn as the template writes it. */
  end: string;
  /** Whether `end` is also the first token of what follows. */
  isOpening: boolean;
  /** What follows `end`. */
  text: string;
}

/** Why the row cannot go on, in words. */
export interface NoBridge {
  reason: string;
}

/** Finds the bridge. It never throws for a template or a conversation: where there is none, it says why. */
export function findBridge({ render, ends, history, added, thoughtful = [] }: BridgeRequest): FoundBridge | NoBridge {
  const last = history.length - 1;
  const spoken = history[last];
  if (spoken?.role !== "assistant") return { reason: "the history does not end with a turn of the assistant" };
  const everything = JSON.stringify([history, added]);
  const sentinel = unusedWord("sleuthsentinel", everything);
  const thought = unusedWord("sleuththought", everything);
  const copy = history.map((message, index) => {
    const told = index === last ? sentinelCopy(spoken, sentinel) : message;
    return thoughtful.includes(index) ? { ...told, reasoning: `${thought}.${index}.` } : told;
  });
  let text: string;
  try {
    text = render([...copy, ...added]);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return { reason: error.message };
  }
  const hidden = thoughtful.find((index) => !text.includes(`${thought}.${index}.`));
  if (hidden !== undefined) return { reason: "the chat template no longer shows an earlier thought" };
  const at = text.lastIndexOf(sentinel);
  const what = spoken.toolCalls?.length ? "calls of tools" : "what the assistant said";
  if (at < 0) return { reason: `the chat template does not write ${what}` };
  const behind = text.slice(at + sentinel.length);
  const end = firstOf(ends.texts, behind);
  if (end === undefined) return { reason: "the chat template writes no end of a turn that is known" };
  const isClear = !mayStandIn(added, behind.slice(0, end.index));
  if (!isClear && !endsBefore(copy, added, { sentinel, word: unusedWord("sleuthmessage", everything), render, ends })) {
    return { reason: "the chat template writes no end of a turn before what follows it" };
  }
  return { end: end.text, isOpening: ends.opening.has(end.text), text: behind.slice(end.index + end.text.length) };
}

/**
 * The tokens of a bridge behind a turn that was sampled.
 *
 * 1. A turn that ends with the end that the template writes: what follows it.
 * 2. One that ends with another end: that one stays as it was sampled, and stands in the template's place, unless the template's is the first
 *    token of what follows.
 * 3. One that was cut: the template's end is added.
 */
export function bridgeTokens(
  { end, isOpening, text }: FoundBridge,
  sampled_T: readonly number[],
  { ends, tokenizer }: { ends: TurnEnds; tokenizer: Tokenizer },
): { text: string; tokens_T: number[] } {
  const endsWith = (one: string): boolean => {
    const ids = tokenizer.encode(one);
    return ids.length > 0 && ids.every((id, index) => sampled_T[sampled_T.length - ids.length + index] === id);
  };
  const isEnded = endsWith(end) || (!isOpening && ends.texts.some(endsWith));
  const whole = isEnded ? text : end + text;
  return { text: whole, tokens_T: tokenizer.encode(whole) };
}

/** Whether a message may begin in a text: its first letter stands there. */
function mayStandIn(added: readonly ConversationMessage[], text: string): boolean {
  return added.some(({ content }) => content !== null && content.trim() !== "" && text.includes(content.trim()[0]));
}

/** Whether the template ends the turn before it writes what follows: the messages may hold ends of turns, so a word stands for their text. */
function endsBefore(
  copy: readonly ConversationMessage[],
  added: readonly ConversationMessage[],
  { sentinel, word, render, ends }: { sentinel: string; word: string } & Pick<BridgeRequest, "render" | "ends">,
): boolean {
  try {
    const text = render([...copy, ...added.map((message) => ({ ...message, content: word }))]);
    const behind = text.slice(text.lastIndexOf(sentinel) + sentinel.length);
    const at = behind.indexOf(word);
    return firstOf(ends.texts, at < 0 ? behind : behind.slice(0, at)) !== undefined;
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return false;
  }
}

/** The message with its calls' numbers, names and ids, and a sentinel for what it says. */
function sentinelCopy({ role, content, toolCalls = [] }: AssistantMessage, sentinel: string): AssistantMessage {
  if (toolCalls.length === 0) return { role, content: sentinel };
  const calls = toolCalls.map((call) => ({ ...call, arguments: JSON.stringify({ sentinel }) }));
  return { role, content: content === null ? null : "", toolCalls: calls };
}

/** The word with the lowest number that makes it one that a text lacks. */
function unusedWord(word: string, text: string): string {
  for (let number = 0; ; number++) if (!text.includes(word + String(number))) return word + String(number);
}

/** Whichever of some texts stands first in another; of two at one place the longer. */
function firstOf(texts: readonly string[], within: string): { text: string; index: number } | undefined {
  const found = texts.map((text) => ({ text, index: within.indexOf(text) })).filter(({ index }) => index >= 0);
  return found.sort((a, b) => a.index - b.index || b.text.length - a.text.length).at(0);
}
