/** @file What is measured of an index of real documents: the rank of the first passage that holds an answer, repeated passages, tokens of an observation. */
import { z } from "zod";
import { parseJsonAs } from "../../src/files/json-file.js";
import { searchR1Short } from "../../src/prompts/protocol.js";
import { renderObservation } from "../../src/prompts/render.js";
import type { Tokenizer } from "../../src/types.js";

/** Most tokens of an observation when these numbers were first made (`rollout.maxObservationTokens`); fixed, so that commits compare. */
export const observationTokens = 160;

/** No tokenizer's tokens are longer on average, in UTF-16 units: what is longer in proportion is not counted. */
const charactersPerToken = 32;

const questionSchema = z.strictObject({
  id: z.string().min(1),
  question: z.string().min(1),
  /** Each stands in the document as it is written here, but for case and white space. */
  answers: z.array(z.string().min(1)).min(1),
  /** The file that was read for the question, from the folder of the documents, with `/` between folders. */
  evidence: z.string().min(1),
  /** What part of the document holds the answer: a table, a definition list, code. */
  place: z.string().min(1),
});

export type Question = z.infer<typeof questionSchema>;

interface Shown {
  title: string;
  text: string;
}

/** The questions of a JSONL text. @throws UserError naming the first line that is none */
export function parseQuestions(text: string, source: string): Question[] {
  const lines = text.trimEnd().split("\n");
  return lines.map((line, index) =>
    parseJsonAs(line, `${source}, line ${index + 1}`, questionSchema, "Mend that line or take the file from git."),
  );
}

/** A text as it is compared: in lower case, every run of white space one space. */
export function normalized(text: string): string {
  return text.replace(/\s+/g, " ").toLowerCase();
}

/** Whether one of the answers stands in the passage, its title included. */
export function holdsAnswer({ title, text }: Shown, answers: readonly string[]): boolean {
  const shown = normalized(`${title}\n${text}`);
  return answers.some((answer) => shown.includes(normalized(answer)));
}

/** The rank, from 1, of the first passage that holds an answer; null when none does. */
export function rankOfHit(passages: readonly Shown[], answers: readonly string[]): number | null {
  const index = passages.findIndex((passage) => holdsAnswer(passage, answers));
  return index < 0 ? null : index + 1;
}

/** How many ranks are `k` or better. */
export function hitsWithin(ranks: readonly (number | null)[], k: number): number {
  return ranks.filter((rank) => rank !== null && rank <= k).length;
}

/** Counts over all passages of an index; fed one by one. */
export class PassageCounts {
  passages = 0;
  /** Passages whose text stands in an earlier passage, word for word; those whose title is the same, too. */
  readonly repeated = { text: 0, titleAndText: 0 };
  /** Passages that an observation with nothing else in it can show; null without a tokenizer. */
  withinBudget: number | null;
  /** Questions whose answer stands in a passage somewhere, found by the engine or not. */
  readonly answerable = new Set<string>();
  readonly #texts = new Set<string>();
  readonly #both = new Set<string>();
  readonly #tokenizer: Tokenizer | undefined;
  readonly #questions: { id: string; answers: string[] }[];

  constructor(questions: readonly Question[], tokenizer?: Tokenizer) {
    this.#questions = questions.map(({ id, answers }) => ({ id, answers: answers.map(normalized) }));
    this.#tokenizer = tokenizer;
    this.withinBudget = tokenizer === undefined ? null : 0;
  }

  add(passage: Shown): void {
    const { title, text } = passage;
    this.passages++;
    if (isRepeated(this.#texts, text)) this.repeated.text++;
    if (isRepeated(this.#both, `${title}\0${text}`)) this.repeated.titleAndText++;
    if (this.#tokenizer !== undefined && fits(passage, this.#tokenizer))
      this.withinBudget = (this.withinBudget ?? 0) + 1;
    const shown = normalized(`${title}\n${text}`);
    for (const { id, answers } of this.#questions)
      if (!this.answerable.has(id) && answers.some((answer) => shown.includes(answer))) this.answerable.add(id);
  }
}

function isRepeated(seen: Set<string>, text: string): boolean {
  const { size } = seen;
  return seen.add(text).size === size;
}

function fits(passage: Shown, tokenizer: Tokenizer): boolean {
  const block = renderObservation(searchR1Short, [passage]);
  if (block.length > observationTokens * charactersPerToken) return false;
  return tokenizer.encode(block).length <= observationTokens;
}
