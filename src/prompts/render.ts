/** @file From nouns to text: the prompt of a question and the observation of a search. */
import type { Passage, Question } from "../types.js";
import type { Protocol } from "./protocol.js";

/** Every tag of a protocol, opening and closing. */
export function protocolTags(protocol: Protocol): string[] {
  return [protocol.think, protocol.search, protocol.information, protocol.answer].flat();
}

/**
 * The prompt of a question.
 * @param context what was found for it beforehand, as `renderPassages` writes it; only where the protocol's prompt has a place for it
 */
export function renderPrompt(protocol: Protocol, question: Pick<Question, "question">, context?: string): string {
  if (context === undefined) return fill(protocol.prompt, { question: question.question });
  if (protocol.contextPrompt === undefined) throw new Error(`internal: ${protocol.name} has no prompt with a context`);
  return fill(protocol.contextPrompt, { question: question.question, context });
}

/** Passages one after another, without what stands around them. */
export function renderPassages(protocol: Protocol, passages: readonly Pick<Passage, "title" | "text">[]): string {
  if (passages.length === 0) return protocol.noPassages;
  const rendered = passages.map(({ title, text }, index) =>
    fill(protocol.passage, { index: String(index + 1), title, text }),
  );
  return rendered.join(protocol.passageSeparator);
}

/** What the environment writes after a search that found `passages` (the caller has sanitized them). */
export function renderObservation(protocol: Protocol, passages: readonly Pick<Passage, "title" | "text">[]): string {
  return fill(protocol.observation, { passages: renderPassages(protocol, passages) });
}

/** What the environment writes after a search that failed. */
export function renderFailedSearch(protocol: Protocol): string {
  return fill(protocol.observation, { passages: protocol.failedSearch });
}

/** Fills `{name}` in one pass, so that a value containing `{…}` or `$&` stays what it is. */
function fill(template: string, values: Readonly<Record<string, string>>): string {
  return template.replace(/\{(\w+)\}/g, (whole, name: string) => values[name] ?? whole);
}
