/**
 * @file A searcher without a model: it searches with the question's words, reads what it is shown, searches once more with the rarer words where nothing
 * fits, and takes the span that the question asks for. It is a policy like any other, so the one rollout runs it. It sees no right answer, unless it is
 * told them: then it reads as somebody who knows them (STaR's rationalization, arXiv:2203.14465, §3.3), and what cannot be read in the passages it does not answer.
 */
import type { Policy } from "../../contracts/policy.js";
import { scriptedPolicy } from "../../policy/scripted.js";
import type { Protocol, TagPair } from "../../prompts/protocol.js";
import type { Tokenizer } from "../../types.js";
import { readAnswer, readKnown } from "./extract.js";
import type { Reading } from "./reading.js";
import { closingThought, furtherThought, openingThought, queryOf } from "./thoughts.js";

interface SearcherOptions {
  question: string;
  protocol: Protocol;
  tokenizer: Tokenizer;
  contextLength: number;
  maxSearches: number;
  /** From 0. Every second one begins with the rarer words. */
  attempt: number;
  /** The right ones. Default: unknown to it. */
  answers?: readonly string[];
}

/** From this fit on, a reading needs no further search. */
const sure = 0.45;

/** A searcher for one attempt at one question. */
export function scriptedSearcher(options: SearcherOptions): Policy {
  const { question, protocol, tokenizer, contextLength, maxSearches, attempt, answers } = options;
  const { think, search, answer, information } = protocol;
  const kinds = attempt % 2 === 0 ? (["words", "rare"] as const) : (["rare", "words"] as const);
  let best: Reading | null = null;
  const say = (thought: string, tag: TagPair, words: string): string => `${wrap(think, thought)}\n${wrap(tag, words)}`;
  const script = (prefix: string, turn: number): string => {
    if (turn === 0 && maxSearches > 0) return say(openingThought(question), search, queryOf(question, kinds[0]));
    const found = shownPassages(prefix.slice(prefix.lastIndexOf(information[0])), protocol);
    const reading = answers === undefined ? readAnswer(question, found) : readKnown(question, found, answers);
    if (reading !== null && reading.fit > (best?.fit ?? 0)) best = reading;
    if ((best?.fit ?? 0) < sure && turn < Math.min(kinds.length, maxSearches))
      return say(furtherThought, search, queryOf(question, kinds[turn]));
    if (best === null) return say("Nothing that was found says it.", answer, "unknown");
    return say(closingThought(best), answer, best.answer);
  };
  return scriptedPolicy({ tokenizer, script, contextLength });
}

const wrap = ([open, close]: TagPair, text: string): string => `${open} ${text} ${close}`;

/**
 * The passages of an observation, as far as its template tells them apart: a title ends where its brackets are closed. What cannot be told apart
 * is one passage without a title.
 */
export function shownPassages(observation: string, protocol: Protocol): { title: string; text: string }[] {
  const [open, close] = protocol.information;
  const start = observation.indexOf(open) + open.length;
  const end = observation.indexOf(close, start);
  const block = observation.slice(start, end < 0 ? undefined : end);
  const [opening] = protocol.passage.split("{title}");
  const [lead, paren] = [opening.slice(0, opening.lastIndexOf("(")), "("];
  const pattern = new RegExp(`(?:^|\\n)${escape(lead).replace("\\{index\\}", "\\d+")}\\${paren}`, "g");
  const starts = [...block.matchAll(pattern)].map(({ 0: text, index }) => ({
    from: index,
    title: index + text.length,
  }));
  if (starts.length === 0) return block.trim() === "" ? [] : [{ title: "", text: block.trim() }];
  return starts.map(({ title }, place) => {
    const passage = block.slice(title, starts[place + 1]?.from);
    const at = closing(passage);
    return { title: passage.slice(0, at).replace(/^Title: /, ""), text: passage.slice(at + 1).trim() };
  });
}

/** Where the bracket is closed that stands open at the beginning. */
function closing(text: string): number {
  for (let at = 0, depth = 1; at < text.length; at++) {
    if (text[at] === "(") depth++;
    else if (text[at] === ")" && --depth === 0) return at;
  }
  return Math.max(0, text.indexOf(")"));
}

function escape(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
