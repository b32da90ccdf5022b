/**
 * @file Transcripts: attempts as a person or a program wrote them down, to be learned from (`sleuth sft`). One per line of
 * a JSONL file: a question and the turns that answer it.
 */
import { UserError } from "../errors.js";
import { parseAction } from "../prompts/parse.js";
import type { Protocol } from "../prompts/protocol.js";
import { kindOf } from "../files/lines.js";
import type { Question, SearchCall, Trajectory } from "../types.js";

/** What the policy wrote in one turn, up to and including the tag that ends it. */
export interface PolicyTurn {
  role: "policy";
  text: string;
  /** The ids that were sampled, where a run recorded them. They are used when the tokenizer decodes them to `text`. */
  tokens_T?: readonly number[];
}

/** What a search brought: passages, one text of another format, or a failure. */
export type EnvironmentTurn =
  | { role: "environment"; passages: readonly { title: string; text: string }[] }
  | { role: "environment"; text: string }
  | { role: "environment"; error: string };

/** One attempt: policy and environment take turns, and the last turn is an answer. */
export interface Transcript {
  id: string;
  question: string;
  answers: string[];
  /** Even places hold policy turns, odd ones what the environment answered. */
  turns: (PolicyTurn | EnvironmentTurn)[];
  /** File and line, for messages. */
  place: string;
}

const transcriptShape =
  'A line looks like {"id":"1","question":"…","turns":[{"role":"policy","text":"<think> … </think>\\n<search> … </search>"},{"role":"environment","passages":[{"title":"…","text":"…"}]},{"role":"policy","text":"<answer> … </answer>"}]}.';

/**
 * Checks the record of a line.
 * @param place file and line, for messages
 * @throws UserError naming place and field
 */
export function parseTranscript(place: string, record: Record<string, unknown>, protocol: Protocol): Transcript {
  const { id, question, answers, golden_answers, turns } = record;
  if (!isText(id) && !Number.isSafeInteger(id)) throw wrong(place, "id", "must be text or a whole number");
  if (!isText(question)) throw wrong(place, "question", "must be text that is not empty");
  const known = answers ?? golden_answers ?? [];
  if (!Array.isArray(known) || !known.every(isText))
    throw wrong(place, "answers", "must be a list of texts, or absent");
  if (!Array.isArray(turns) || turns.length === 0)
    throw wrong(place, "turns", `must be a list of at least one turn, got ${kindOf(turns)}`);
  const transcript: Transcript = {
    id: String(id),
    question,
    answers: known,
    turns: turns.map((turn: unknown, index) => parseTurn(place, `turns[${index}]`, turn, protocol)),
    place,
  };
  requireRollout(transcript, protocol);
  const kinds = new Set(
    transcript.turns.flatMap((turn) =>
      ["text", "passages"].filter((kind) => turn.role === "environment" && kind in turn),
    ),
  );
  if (kinds.size > 1)
    throw wrong(place, "turns", "holds environment turns with text and others with passages: use one of them");
  return transcript;
}

/**
 * Checks that a rollout could have gone this way: policy and environment take turns, each policy turn ends where sampling
 * stops, searches are answered and the last turn is an answer.
 * @throws UserError naming place and field
 */
export function requireRollout({ place, turns }: Transcript, protocol: Protocol): void {
  turns.forEach((turn, index) => {
    const field = `turns[${index}]`;
    const expected = index % 2 === 0 ? "policy" : "environment";
    if (turn.role !== expected) {
      throw wrong(place, `${field}.role`, `must be "${expected}": policy and environment take turns, policy first`);
    }
    const isLast = index === turns.length - 1;
    if (turn.role === "policy") requireAction(place, `${field}.text`, turn.text, isLast, protocol);
    else if (isLast) throw wrong(place, field, "is the last turn, which must be the policy's answer");
  });
}

/**
 * An attempt as a transcript; null when it is not fit to be imitated: it did not end with an answer, or a turn was neither a search nor an answer, asked for
 * nothing or went on past its closing tag.
 * @param place where the attempt stands, for messages
 */
export function transcriptOf(
  { id, question, answers }: Question,
  { finishReason, segments, texts, searches, textOnly }: Trajectory,
  { place, protocol }: { place: string; protocol: Protocol },
): Transcript | null {
  if (finishReason !== "answered") return null;
  const written = segments.flatMap(({ role, tokens_T }, index) =>
    role === "policy" ? [{ role, text: texts[index], ...(textOnly === undefined && { tokens_T }) }] : [],
  );
  // A turn that was neither is answered by a complaint, not by a search: there is nothing in it to imitate.
  if (written.some(({ text }) => parseAction(text, protocol).kind === "malformed")) return null;
  if (written.length !== searches.length + 1) return null;
  const turns = written.flatMap((turn, index) =>
    index < searches.length ? [turn, fromSearch(searches[index])] : [turn],
  );
  const transcript = { id, question, answers, turns, place };
  return isRollout(transcript, protocol) ? transcript : null;
}

/** Sampling may go on past a closing tag inside one token, or ask for nothing: such turns are not worth imitating. */
function isRollout(transcript: Transcript, protocol: Protocol): boolean {
  try {
    requireRollout(transcript, protocol);
    return true;
  } catch (error) {
    if (error instanceof UserError) return false;
    throw error;
  }
}

function fromSearch({ passages, error }: SearchCall): EnvironmentTurn {
  return error === undefined ? { role: "environment", passages } : { role: "environment", error };
}

function requireAction(place: string, field: string, text: string, isLast: boolean, protocol: Protocol): void {
  const stops = [protocol.search[1], protocol.answer[1]];
  const end = Math.min(
    ...stops.map((stop) => text.indexOf(stop) + stop.length).filter((at, i) => at >= stops[i].length),
  );
  if (end === Infinity) throw wrong(place, field, `must end with ${stops.join(" or ")}`);
  if (end < text.length) {
    const rest = JSON.stringify(text.slice(end, end + 20));
    throw wrong(place, field, `goes on with ${rest} after its first closing tag, where a rollout stops sampling`);
  }
  const action = parseAction(text, protocol);
  if (action.kind === "malformed") throw wrong(place, field, `closes a tag that it never opened`);
  if (action.kind === "search" && action.query === "") throw wrong(place, field, "holds an empty search");
  if (isLast && action.kind === "search") throw wrong(place, field, "is the last turn, which must be an answer");
  if (!isLast && action.kind === "answer") throw wrong(place, field, "is an answer, and an answer ends the transcript");
}

function parseTurn(place: string, field: string, turn: unknown, protocol: Protocol): PolicyTurn | EnvironmentTurn {
  if (typeof turn !== "object" || turn === null) throw wrong(place, field, `must be an object, got ${kindOf(turn)}`);
  const { role, text, passages, error } = turn as Record<string, unknown>;
  if (role === "policy") {
    if (!isText(text)) throw wrong(place, `${field}.text`, `must be text that is not empty, got ${kindOf(text)}`);
    return { role, text };
  }
  if (role !== "environment") throw wrong(place, `${field}.role`, 'must be "policy" or "environment"');
  const given = [text, passages, error].filter((value) => value !== undefined);
  if (given.length !== 1) throw wrong(place, field, "must hold exactly one of passages, text and error");
  if (error !== undefined) {
    if (!isText(error)) throw wrong(place, `${field}.error`, "must be text that is not empty");
    return { role, error };
  }
  if (text !== undefined) {
    if (typeof text !== "string") throw wrong(place, `${field}.text`, `must be text, got ${kindOf(text)}`);
    return { role, text: withoutTags(text, protocol) };
  }
  if (!Array.isArray(passages)) throw wrong(place, `${field}.passages`, `must be a list, got ${kindOf(passages)}`);
  return {
    role,
    passages: passages.map((passage: unknown, index) => parsePassage(place, `${field}.passages[${index}]`, passage)),
  };
}

/** Logs of other programs hold the whole block: its tags are written anew. */
function withoutTags(text: string, { information: [open, close] }: Protocol): string {
  const block = text.trim();
  return block.startsWith(open) && block.endsWith(close) ? block.slice(open.length, -close.length) : text;
}

function parsePassage(place: string, field: string, passage: unknown): { title: string; text: string } {
  const { title, text } = (passage ?? {}) as Record<string, unknown>;
  if (typeof title !== "string") throw wrong(place, `${field}.title`, `must be text, got ${kindOf(title)}`);
  if (typeof text !== "string") throw wrong(place, `${field}.text`, `must be text, got ${kindOf(text)}`);
  return { title, text };
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value.trim() !== "";
}

function wrong(place: string, field: string, problem: string): UserError {
  return new UserError(`${place}: field "${field}" ${problem}. ${transcriptShape}`);
}
