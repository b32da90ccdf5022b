/**
 * @file The optional format term of the second paper (arXiv:2505.15117; `qa_em_format.py`), on roles instead of text.
 *
 * A trajectory is well formed when each turn of the policy is a thought followed by one action, with nothing but white
 * space around, every turn but the last is a search and the last is an answer.
 *
 * Departures: 1. The released scorer walks the whole text after a ChatML marker, so only one model family could ever be
 * valid, a passage with a tag in it made a trajectory invalid, and so did the end-of-text token. Here only policy turns
 * are looked at, and they are known by role; the token with which a model ends its turn may stand behind its last tag.
 * 2. A thought that the chat template has begun (or left empty) at the end of the prompt belongs to the first turn.
 * 3. No answer scores as no answer; the original took the prompt's example. 4. Retrieval looks for whole words in passages
 * (`retrievedAnswer`).
 */
import { begunThought } from "../prompts/chat.js";
import type { Protocol, TagPair } from "../prompts/protocol.js";
import { protocolTags } from "../prompts/render.js";
import type { Trajectory } from "../types.js";
import { exactMatch, retrievedAnswer } from "./answers.js";
import type { RewardFunction } from "./reward.js";

export interface FormatOptions {
  /** Whether each turn must begin with a thought. Default true; a protocol without reasoning sets false. */
  thinkRequired?: boolean;
}

/** Whether every turn of the policy follows the protocol. */
export function isWellFormed(trajectory: Trajectory, protocol: Protocol, options: FormatOptions = {}): boolean {
  if (trajectory.finishReason !== "answered") return false;
  const turns = trajectory.texts.filter((_, index) => trajectory.segments[index].role === "policy");
  if (turns.length === 0) return false;
  // A thought that the prompt has begun belongs to the first turn.
  if (trajectory.segments[0].role === "prompt") turns[0] = begunThought(trajectory.texts[0], protocol.think) + turns[0];
  return turns.every(
    (text, index) => turnKind(text, protocol, options) === (index < turns.length - 1 ? "search" : "answer"),
  );
}

/** 1 when well formed, else 0. */
export function formatReward(protocol: Protocol, options: FormatOptions = {}): RewardFunction {
  return (_question, trajectory) => (isWellFormed(trajectory, protocol, options) ? 1 : 0);
}

interface SearchR1FormatWeights extends FormatOptions {
  /** λ_f: what a well-formed trajectory with a wrong answer gets. The v0.3 scripts' 0.2. */
  structure?: number;
  /** For a malformed trajectory that still gave a (wrong) answer. 0.1. */
  final?: number;
  /** Added to `structure` when a right answer stood in a retrieved passage. 0. */
  retrieval?: number;
}

/**
 * The second paper's whole reward (arXiv:2505.15117; `qa_em_format.py`), in [0, 1]: exact match with partial credit for form.
 * Right and well formed: 1; right, malformed: 1 − structure; wrong, well formed: structure, plus `retrieval` when a right
 * answer was retrieved; wrong, malformed: `final`; no answer: 0.
 */
export function searchR1FormatReward(protocol: Protocol, weights: SearchR1FormatWeights = {}): RewardFunction {
  const { structure = 0.2, final = 0.1, retrieval = 0 } = weights;
  return (question, trajectory) => {
    const wellFormed = isWellFormed(trajectory, protocol, weights);
    if (exactMatch(question, trajectory) === 1) return wellFormed ? 1 : 1 - structure;
    if (wellFormed) return structure + (retrievedAnswer(trajectory, question.answers) ? retrieval : 0);
    return trajectory.answer === null ? 0 : final;
  };
}

/** The token with which a model ends its turn, as its tokenizer spells it: `<|im_end|>`, `<｜end▁of▁sentence｜>`, `</s>`, … */
const endOfTurn = /\s*(?:<\|[\w-]+\|>|<｜[\w▁-]+｜>|<\/s>|<eos>|<end_of_turn>|<turn\|>)\s*$/u;

/** A turn without the token that ended it, and the white space around that. */
export function withoutEndOfTurn(text: string): string {
  return text.replace(endOfTurn, "");
}

/** What a whole turn is, or null when it is not `<think>…</think>` and one action. */
function turnKind(text: string, protocol: Protocol, options: FormatOptions): "search" | "answer" | null {
  const { thinkRequired = true } = options;
  const tags = protocolTags(protocol);
  const turn = withoutEndOfTurn(text).trim();
  const afterThink = takePair(turn, protocol.think, tags);
  if (afterThink === null && thinkRequired) return null;
  const action = afterThink ?? turn;
  if (takePair(action, protocol.search, tags) === "") return "search";
  return takePair(action, protocol.answer, tags) === "" ? "answer" : null;
}

/** What follows the pair that `text` begins with; null when it does not, or when the pair holds another tag. */
function takePair(text: string, [open, close]: TagPair, tags: readonly string[]): string | null {
  if (!text.startsWith(open)) return null;
  const end = text.indexOf(close, open.length);
  if (end < 0) return null;
  const content = text.slice(open.length, end);
  if (tags.some((tag) => content.includes(tag))) return null;
  return text.slice(end + close.length).trim();
}
