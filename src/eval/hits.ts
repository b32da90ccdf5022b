/**
 * @file What search finds of the answers: at which rank the first passage stands that holds one, with the question itself as the query. It bounds
 * what a policy can learn from one search, with three reservations: an answer may stand in a passage without being evidence (a year, a `yes`), another
 * query may find more than the question does, and a question of several hops need not be answered by one passage.
 */
import { mapAhead, TimeSlice, withDeadline } from "../async.js";
import { ours } from "../rewards/answers.js";
import { checkLists, type SearchEngine } from "../search/engine.js";
import type { Evidence, Passage, Question } from "../types.js";
import { wilson, type Estimate } from "./intervals.js";

/** What search found for one question. */
export interface QuestionHit {
  question: Question;
  /** Rank, from 1, of the first passage in whose title or text an answer stands; null where it is none of those that were found. */
  rank: number | null;
  /** The same of a passage that the question was made from, by its id; absent where the question names none. Of several, the first counts. */
  evidenceRank?: number | null;
  /** At most `k`, best first. */
  passages: readonly Passage[];
  /** Why the engine refused this query alone: then nothing was found. */
  refused?: string;
}

export interface HitOptions {
  /** Passages asked for. Default: 10. */
  k?: number;
  /** Questions of one search. Default: 32. */
  batch?: number;
  /** Longest wait for one search. Default: none. */
  timeoutMs?: number;
  /** Makes the error of a search that took longer. Default: a `DeadlineError`. */
  late?: () => Error;
  signal?: AbortSignal;
}

/** Searches under way at once, so that an engine has work while answers are looked for. */
const searchesAtOnce = 2;

/**
 * Searches for every question and looks for its answers in what was found, as cover match does: whole words, in any script. The results come in the
 * order of the questions while the search goes on.
 * @throws SearchError when the engine cannot answer; `late()` when it takes too long; the signal's reason
 */
export async function* findAnswers(
  engine: SearchEngine,
  questions: readonly Question[],
  { k = 10, batch = 32, timeoutMs = Infinity, late, signal }: HitOptions = {},
): AsyncGenerator<QuestionHit, void, undefined> {
  const search = async (asked: readonly Question[], outer: AbortSignal) => {
    const queries = asked.map(({ question }) => question);
    const find = (inner: AbortSignal) => engine.searchBatch(queries, k, { signal: inner });
    const lists = await withDeadline(find, { timeoutMs, signal: outer, late });
    return { asked, lists: checkLists(lists, queries.length, engine.name) };
  };
  const slice = new TimeSlice();
  for await (const { asked, lists } of mapAhead(batches(questions, batch), searchesAtOnce, search, { signal })) {
    for (const [index, question] of asked.entries()) {
      const { refused } = lists[index];
      const passages = lists[index].slice(0, k);
      yield {
        ...{ question, rank: rankIn(passages, ours.holdsAnswer(question.answers)), passages },
        ...(question.evidence?.length ? { evidenceRank: rankIn(passages, isEvidenceOf(question.evidence)) } : {}),
        ...(refused === undefined ? {} : { refused }),
      };
      if (!slice.isOver) continue;
      await slice.next();
      signal?.throwIfAborted();
    }
  }
}

function rankIn(passages: readonly Passage[], isWanted: (passage: Passage) => boolean): number | null {
  const place = passages.findIndex((passage) => isWanted(passage));
  return place < 0 ? null : place + 1;
}

function isEvidenceOf(evidence: readonly Evidence[]): (passage: Passage) => boolean {
  const ids = new Set(evidence.map(({ id }) => id));
  return ({ id }) => ids.has(id);
}

/** Whether something was found among the first `k`. */
export function isWithin(rank: number | null, k: number): boolean {
  return rank !== null && rank <= k;
}

/** hit@k: the share of questions with an answer in the first `k` passages, with Wilson's interval. */
export function hitRate(ranks: readonly (number | null)[], k: number): Estimate {
  return wilson(ranks.filter((rank) => isWithin(rank, k)).length, ranks.length);
}

/**
 * A sentence where questions name passages that they were made from, and not one of these was found: the questions are most likely of another index. Undefined for too few of them.
 * @param evidenceRanks of the questions that name evidence
 */
export function foreignEvidence(evidenceRanks: readonly (number | null)[]): string | undefined {
  if (evidenceRanks.length < fewestForeign || evidenceRanks.some((rank) => rank !== null)) return undefined;
  return `Of ${evidenceRanks.length} questions not one found the passage that it was made from. They seem to be made from another index, or this one was made anew with other settings: \`sleuth questions make\` makes them for this one.`;
}

/** Fewer may have missed by chance. */
const fewestForeign = 8;

function* batches<Item>(items: readonly Item[], size: number): Generator<readonly Item[]> {
  for (let first = 0; first < items.length; first += size) yield items.slice(first, first + size);
}
