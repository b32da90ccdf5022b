/**
 * @file Questions made by rules, without a language model: of definitions, glossaries, options and their defaults, tables, abbreviations, and
 * sentences with a gap. They are weak questions. They ask for what stands in one place in nearly its words, so they teach a policy when to search,
 * what a query is and to copy an answer; they do not teach it to think of another wording. The rules know English; of other languages they see
 * tables, names and numbers.
 */
import { ours } from "../../../rewards/answers.js";
import { answerComparison, normaliseAnswer } from "../../../rewards/normalise.js";
import type { StoredPassage } from "../../../types.js";
import { evidenceOf, type Candidate } from "../candidate.js";
import type { WordRarity } from "../word-rarity.js";
import { isSpecific } from "./answers.js";
import { entryQuestions, type Cloze } from "./entry-questions.js";
import { entriesOf, sentencesOf, tablesOf } from "./parts.js";
import { sentenceQuestions } from "./sentence-questions.js";
import { tableQuestions } from "./table-questions.js";

/** The questions of a passage that can be answered from it. */
export function clozeCandidates(passage: StoredPassage, rarity: WordRarity): Candidate[] {
  const found = [...clozesOf(passage, rarity)];
  const lookInPassage = answerComparison.lookIn(passage.text);
  const seen = new Set<string>();
  return found
    .filter(({ question }) => !seen.has(question) && seen.add(question))
    .map((cloze) => ({ ...cloze, answers: cloze.answers.filter((answer) => isSpecific(answer, rarity)) }))
    .filter(
      ({ answers, question }) =>
        answers.length > 0 &&
        !ours.holdsAnswer(answers)({ title: "", text: question }) &&
        lookInPassage(normaliseAnswer(answers[0])),
    )
    .map((cloze) => ({ ...cloze, hops: 1, evidence: [evidenceOf(passage)] }));
}

function* clozesOf({ title, text, section = "" }: StoredPassage, rarity: WordRarity): Generator<Cloze> {
  const headings = [...title.split(" › "), ...section.split(" › ").filter((heading) => heading !== "")];
  if (isListing(headings, text)) return;
  const subject = subjectOf(headings[0]);
  for (const entry of entriesOf(text, headings.at(-1))) yield* entryQuestions(entry, subject);
  for (const table of tablesOf(text)) yield* tableQuestions(table, subject);
  for (const sentence of sentencesOf(text)) yield* sentenceQuestions(sentence, rarity);
}

/** Indexes, contents and lists of changes: nothing in them is a sentence about something. */
function isListing(headings: readonly string[], text: string): boolean {
  return (
    headings.some((heading) =>
      /^(?:index|contents|table of contents|change ?log|release notes|contributors|acknowledge?ments|references|see also|license)\b/i.test(
        heading.trim(),
      ),
    ) || /Copyright \(C\)|Permission is hereby granted/i.test(text)
  );
}

/** What a document is about, by its title: "git-commit(1)" → git-commit, "bz2 — Support for bzip2 compression" → bz2. Empty where it says too much. */
function subjectOf(title: string): string {
  const [head] = title.replace(/[¶]/g, "").split(/ [—–|-] |: /);
  const subject = head
    .replace(/^[A-Z]?\d*(?:\.\d+)*\.\s+/, "")
    .replace(/\(\d\)$/, "")
    .replace(/\.(?:rst|txt|md|html)$/, "")
    .trim();
  return subject.split(" ").length <= 3 && !/^(?:readme|index|man page)/i.test(subject) ? subject : "";
}
