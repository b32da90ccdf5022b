/** @file From text to action: what the policy asked for in one turn. */
import type { StopConditions } from "../contracts/policy.js";
import type { Tokenizer } from "../types.js";
import { endOfTurnIds } from "./chat.js";
import type { Protocol, TagPair, UntaggedTurns } from "./protocol.js";
import { protocolTags } from "./render.js";

type Action =
  | { kind: "search"; query: string }
  | { kind: "answer"; answer: string }
  /** Neither a closed search nor a closed answer. */
  | { kind: "malformed" };

/**
 * The first closed search or answer of a turn, by the position of its opening tag; its content trimmed, possibly empty. Without either, what the
 * protocol says of turns without tags.
 * `text` must be what the policy wrote in this turn and nothing else (but for `protocol.lastTurn`): prompts and observations hold tags of their own.
 */
export function parseAction(text: string, protocol: Protocol): Action {
  const search = protocol.searches ? firstPair(text, protocol.search) : null;
  const answer = firstPair(text, protocol.answer);
  if (search !== null && (answer === null || search.start < answer.start)) {
    return { kind: "search", query: search.content };
  }
  if (answer !== null) return { kind: "answer", answer: answer.content };
  return protocol.untagged === undefined ? { kind: "malformed" } : untaggedAction(text, protocol, protocol.untagged);
}

/**
 * What a turn holds beside its query or its answer, for people: what stands before the tag, or where turns have no tags what stands between the tags of thoughts.
 * @param text as the policy wrote it
 * @param action that `parseAction` found in it
 */
export function thoughtOf(text: string, action: Action, protocol: Protocol): string {
  const [open, close] = protocol.think;
  if (action.kind !== "malformed") {
    const [tag] = action.kind === "search" ? protocol.search : protocol.answer;
    const at = tag === "" ? -1 : text.indexOf(tag);
    if (at < 0) return close !== "" && text.includes(close) ? between(text, open, close) : "";
    text = text.slice(0, at);
  }
  return [open, close].reduce((rest, tag) => (tag === "" ? rest : rest.replaceAll(tag, "")), text).trim();
}

function between(text: string, open: string, close: string): string {
  const before = text.slice(0, text.lastIndexOf(close));
  return (open === "" ? before : before.replaceAll(open, "")).trim();
}

function untaggedAction(text: string, protocol: Protocol, { answerAfter, otherwise }: UntaggedTurns): Action {
  const [open, close] = protocol.think;
  // Where the environment has begun the answer, what follows it is no thought before it.
  const isBegun = protocol.lastTurn !== undefined && text.startsWith(protocol.lastTurn);
  const end = isBegun ? -1 : text.lastIndexOf(close);
  const said = end < 0 ? text : text.slice(end + close.length);
  const answer = upToTag(firstLine(answerAfter === undefined ? said : behind(said, answerAfter)), protocol);
  if (answer !== "") return { kind: "answer", answer };
  const thought = end < 0 ? "" : text.slice(0, end).replace(open, "").trim();
  const query = said.trim() || thought;
  return otherwise === "query" && query !== "" ? { kind: "search", query } : { kind: "malformed" };
}

/** An answer without tags ends where a tag begins. */
function upToTag(line: string, protocol: Protocol): string {
  const places = protocolTags(protocol).flatMap((tag) => (line.includes(tag) ? [line.indexOf(tag)] : []));
  return line.slice(0, Math.min(line.length, ...places)).trim();
}

/** What stands behind the last place of some words, a colon left out; nothing where they are missing. */
function behind(text: string, words: string): string {
  const at = [...text.matchAll(new RegExp(words.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"), "giu"))].at(-1);
  return at === undefined ? "" : text.slice(at.index + at[0].length).replace(/^\s*:/, "");
}

/** The first line that is not blank. */
function firstLine(text: string): string {
  return text
    .trim()
    .split(/[\r\n]/)[0]
    .trim();
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
  const strings = [
    ...(protocol.searches ? [protocol.search[1]] : []),
    ...(pastAnswer ? [] : [protocol.answer[1]]),
    ...(protocol.untagged?.stops ?? []),
  ];
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
