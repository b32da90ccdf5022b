/**
 * @file Which questions have an answer in the corpus: whether its words stand in the title or text of any passage, in one pass over all of them. It bounds
 * what any searcher can find; an answer may stand in a passage without being evidence.
 */
import { TimeSlice } from "../async.js";
import { answerComparison } from "../rewards/normalise.js";
import { allPassages, type PassageSource } from "../search/passages.js";
import type { Question } from "../types.js";

/** What can be read through. */
export type CorpusPassages = Pick<PassageSource, "count" | "isDeleted" | "read">;

interface CorpusOptions {
  signal?: AbortSignal;
  /** Passages that were read, of all. */
  onProgress?: (done: number, total: number) => void;
}

/**
 * For each question whether a passage holds an answer, as `holdsAnswer` of `rewards/answers.ts` would find for each passage and question.
 * @throws the signal's reason
 */
export async function answersInCorpus(
  corpus: CorpusPassages,
  questions: readonly Question[],
  { signal, onProgress }: CorpusOptions = {},
): Promise<boolean[]> {
  const wanted = new WantedAnswers(questions);
  const slice = new TimeSlice();
  for await (const { passages, done } of allPassages(corpus, signal)) {
    if (wanted.isEmpty) break;
    for (const { title, text } of passages) {
      wanted.lookIn(`${title} ${text}`);
      if (slice.isOver) await slice.next();
    }
    onProgress?.(done, corpus.count);
  }
  return wanted.found;
}

/** Answers that were not found yet, by a word that a text must have to hold them: few of them are looked for in any one text. */
class WantedAnswers {
  readonly found: boolean[];
  /** By word, then by answer, the questions. */
  readonly #byWord = new Map<string, Map<string, number[]>>();

  constructor(questions: readonly Question[]) {
    this.found = questions.map(() => false);
    for (const [index, { answers }] of questions.entries()) {
      for (const answer of new Set(answers.map((one) => answerComparison.normalise(one)))) {
        if (answer === "") continue;
        const word = keyWordOf(answer);
        const ofWord = this.#byWord.get(word) ?? new Map<string, number[]>();
        this.#byWord.set(word, ofWord.set(answer, [...(ofWord.get(answer) ?? []), index]));
      }
    }
  }

  get isEmpty(): boolean {
    return this.#byWord.size === 0;
  }

  lookIn(text: string): void {
    let holds: ((answer: string) => boolean) | undefined;
    for (const word of new Set([everywhere, ...answerComparison.normalise(text).split(" ")])) {
      const ofWord = this.#byWord.get(word);
      if (ofWord === undefined) continue;
      holds ??= answerComparison.lookIn(text);
      for (const [answer, questions] of ofWord) {
        if (!holds(answer)) continue;
        for (const index of questions) this.found[index] = true;
        ofWord.delete(answer);
      }
      if (ofWord.size === 0) this.#byWord.delete(word);
    }
  }
}

/** Stands for the word of an answer that consists of articles, which a text as it is compared has not. */
const everywhere = "";

/** The longest word: long ones are rare. */
function keyWordOf(answer: string): string {
  const words = answer.split(" ").filter((word) => !/^(a|an|the)$/.test(word));
  return words.reduce((longest, word) => (word.length > longest.length ? word : longest), everywhere);
}
