/** @file Which candidates are kept: what is asked before the engine, what only the engine can tell, and the counts of why others were not. */
import { mapConcurrent } from "../../async.js";
import { NearDuplicates } from "../../data/near-duplicates.js";
import { findAnswers, type QuestionHit } from "../../eval/hits.js";
import { ours } from "../../rewards/answers.js";
import { answerComparison, normaliseAnswer } from "../../rewards/normalise.js";
import type { SearchEngine } from "../../search/engine.js";
import type { Passage, Question } from "../../types.js";
import type { Candidate } from "./candidate.js";
import { documentOfCandidate } from "./draw.js";
import { idOf } from "./question-id.js";

/** Why a candidate was not kept. */
export const rejections = {
  unreadable: "the reply held no question",
  "too-long": "the answer has too many words",
  "not-in-passage": "the answer does not stand in its passage",
  "in-question": "the answer stands in the question",
  ambiguous: "the same question has another answer elsewhere",
  duplicate: "nearly the same question was kept",
  struck: "a person struck it",
  "document-full": "its document has enough questions",
  "in-first-passage": "the answer stands in the first of its two passages already",
  "bridge-in-question": "the question names what the first passage should lead to",
  "second-not-found": "search does not find the second passage by what the first one says",
  "not-found": "search does not find the passage by the question",
  "known-without-search": "it is answered without search",
} as const;
export type Rejection = keyof typeof rejections;

/** A candidate that was kept, with its id. */
export type KeptQuestion = Candidate & { id: string };

export interface CheckOptions {
  engine: SearchEngine;
  /** Passages that search may bring. */
  k: number;
  /** Most questions of a document. */
  perDocument: number;
  /** Ids that a person struck. */
  struck: ReadonlySet<string>;
}

/** Closed-book checks under way at once; the model's own limit is lower. */
const knownAtOnce = 64;
/** Quotes of fewer words may stand anywhere: then the passage itself must be found. */
const leastQuoteWords = 6;

/** Takes candidates in groups, keeps the good ones. */
export class Checks {
  readonly kept: KeptQuestion[] = [];
  readonly rejected = new Map<Rejection, number>();
  readonly #options: CheckOptions;
  readonly #seen = new NearDuplicates();
  /** What kept questions ask for: the same words of a passage with the same answer are asked about once. */
  readonly #asked = new Set<string>();
  readonly #perDocument = new Map<string, number>();

  constructor(options: CheckOptions) {
    this.#options = options;
  }

  reject(reason: Rejection): void {
    this.rejected.set(reason, (this.rejected.get(reason) ?? 0) + 1);
  }

  /**
   * Keeps those of a group that search finds, and that are nothing like those kept before.
   * @param isKnown the closed-book check, where there is a model for it: whether a question is answered without search
   * @throws SearchError; the signal's reason
   */
  async take(
    candidates: readonly Candidate[],
    {
      signal,
      isKnown,
    }: { signal?: AbortSignal; isKnown?: (candidate: Candidate, signal: AbortSignal) => Promise<boolean> } = {},
  ): Promise<void> {
    const asked = candidates
      .filter((candidate) => this.#passes(candidate))
      .map((candidate) => ({ ...candidate, id: idOf(candidate) }));
    const found = await this.#findable(asked, signal);
    const check = isKnown ?? ((): Promise<boolean> => Promise.resolve(false));
    const known = await mapConcurrent(found, knownAtOnce, check, { signal });
    for (const [index, candidate] of found.entries()) {
      if (known[index]) this.reject("known-without-search");
      else this.#keep(candidate);
    }
  }

  /** Those whose passages the engine finds: the first by the question, the second by the name that leads to it. */
  async #findable(asked: readonly KeptQuestion[], signal?: AbortSignal): Promise<KeptQuestion[]> {
    const { engine, k } = this.#options;
    const found: KeptQuestion[] = [];
    const hits = findAnswers(engine, asked, { k, batch: 32, signal });
    for (const candidate of asked) {
      const { value } = await hits.next();
      if (isEvidenceFound(candidate, (value as QuestionHit).passages)) found.push(candidate);
      else this.reject("not-found");
    }
    const bridged = found.filter(({ bridge }) => bridge !== undefined);
    if (bridged.length === 0) return found;
    const queries = bridged.map(({ bridge, question }) => `${bridge} ${question}`);
    const lists = await engine.searchBatch(queries, k, { signal });
    const lost = new Set(bridged.filter(({ evidence }, at) => !lists[at].some(({ id }) => id === evidence[1].id)));
    for (let times = 0; times < lost.size; times++) this.reject("second-not-found");
    return found.filter((candidate) => !lost.has(candidate));
  }

  #passes(candidate: Candidate): boolean {
    const reason = this.#objection(candidate);
    if (reason !== undefined) this.reject(reason);
    return reason === undefined;
  }

  #objection(candidate: Candidate): Rejection | undefined {
    const { question, answers, bridge } = candidate;
    const asked = { title: "", text: question };
    if (ours.holdsAnswer(answers)(asked)) return "in-question";
    if (bridge !== undefined && ours.holdsAnswer([bridge])(asked)) return "bridge-in-question";
    if (this.#options.struck.has(idOf(candidate))) return "struck";
    if (this.#isFull(candidate)) return "document-full";
    if (this.#isRepeated(candidate)) return "duplicate";
    return undefined;
  }

  #isFull(candidate: Candidate): boolean {
    return (this.#perDocument.get(documentOfCandidate(candidate)) ?? 0) >= this.#options.perDocument;
  }

  #isRepeated(candidate: Candidate): boolean {
    return this.#asked.has(askedFor(candidate)) || this.#seen.has(candidate.question);
  }

  /** Of the same group, others may have been kept meanwhile. */
  #keep(candidate: KeptQuestion): void {
    if (this.#isFull(candidate)) return this.reject("document-full");
    if (this.#isRepeated(candidate)) return this.reject("duplicate");
    const document = documentOfCandidate(candidate);
    this.#perDocument.set(document, (this.#perDocument.get(document) ?? 0) + 1);
    this.#seen.add(candidate.question);
    this.#asked.add(askedFor(candidate));
    this.kept.push(candidate);
  }
}

/** A quote of few words says little by itself: the kind and the question's own words make it out. */
function askedFor({ kind, quote, answers, question }: Candidate): string {
  const words = normaliseAnswer(quote);
  const isTelling = words.split(" ").length >= leastQuoteWords;
  return JSON.stringify([kind, isTelling ? words : normaliseAnswer(question), normaliseAnswer(answers[0])]);
}

/** Whether search brings the evidence, or a passage that says the same. */
function isEvidenceFound({ evidence, quote, hops }: Candidate, passages: readonly Passage[]): boolean {
  // Of two passages, the question leads to the first; the second is found by what that one says.
  const wanted = hops === 1 ? evidence.at(-1)?.id : evidence[0].id;
  if (passages.some(({ id }) => id === wanted)) return true;
  const words = normaliseAnswer(quote);
  if (hops > 1 || words.split(" ").length < leastQuoteWords) return false;
  return passages.some(({ text }) => answerComparison.lookIn(text)(words));
}

/** As it stands in a file of questions. */
export function toQuestion({ id, question, answers, hops, kind, evidence }: KeptQuestion): Question {
  return { id, question, answers, hops, kind, evidence };
}

/** Candidates whose question has another answer elsewhere are left out: nobody could tell which is meant. */
export function withoutAmbiguous(
  candidates: readonly Candidate[],
  onRejected: (reason: Rejection) => void,
): Candidate[] {
  const answersOf = new Map<string, Set<string>>();
  for (const { question, answers } of candidates) {
    const key = normaliseAnswer(question);
    answersOf.set(key, (answersOf.get(key) ?? new Set()).add(normaliseAnswer(answers[0])));
  }
  return candidates.filter(({ question }) => {
    const isClear = answersOf.get(normaliseAnswer(question))?.size === 1;
    if (!isClear) onRejected("ambiguous");
    return isClear;
  });
}
