/** @file From text to action: what the policy asked for in one turn. */
import type { StopConditions } from "../contracts/policy.js";
import type { Tokenizer } from "../types.js";
import { endOfTurnIds } from "./chat.js";
import type { Protocol, TagPair } from "./protocol.js";

type Action =
  | { kind: "search"; query: string }
  | { kind: "answer"; answer: string }
  /** Neither a closed search nor a closed answer. */
  | { kind: "malformed" };

/**
 * The first closed search or answer of a turn, by the position of its opening tag; its content trimmed, possibly empty.
 * `text` must be what the policy wrote in this turn and nothing else: prompts and observations hold tags of their own.
 */
export function parseAction(text: string, protocol: Protocol): Action {
  const search = protocol.searches ? firstPair(text, protocol.search) : null;
  const answer = firstPair(text, protocol.answer);
  if (search !== null && (answer === null || search.start < answer.start)) {
    return { kind: "search", query: search.content };
  }
  return answer === null ? { kind: "malformed" } : { kind: "answer", answer: answer.content };
}

/**
 * Where a turn ends: after `</search>`, after `</answer>`, or at any of the model's ends of text; for an instruct model that is also the
 * token with which its chat template ends an assistant's message, whether or not the model's files list it.
 * @param options.pastAnswer a turn goes on after `</answer>` (faithful mode)
 */
export function turnStops(
  tokenizer: Tokenizer,
  protocol: Protocol,
  { pastAnswer = false }: { pastAnswer?: boolean } = {},
): StopConditions {
  const strings = [...(protocol.searches ? [protocol.search[1]] : []), ...(pastAnswer ? [] : [protocol.answer[1]])];
  // The tag may be one special token or be spelled out; either ends the turn.
  const tokens = strings.map((tag) => tokenizer.specialTokens.get(tag)).filter((id) => id !== undefined);
  return { tokens: [...new Set([...endIds(tokenizer), ...tokens])], strings };
}

/** The tokens by which a model says that it has nothing to add. */
export function endIds(tokenizer: Tokenizer): number[] {
  return [...tokenizer.eosIds, ...endOfTurnIds(tokenizer)];
}

/** The first opening tag is enough: if nothing closes it, nothing closes a later one either. */
function firstPair(text: string, [open, close]: TagPair): { start: number; content: string } | null {
  const start = text.indexOf(open);
  if (start < 0) return null;
  const end = text.indexOf(close, start + open.length);
  return end < 0 ? null : { start, content: text.slice(start + open.length, end).trim() };
}
