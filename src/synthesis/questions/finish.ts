/** @file The end of every way of making questions: what was kept is divided by document, and counted. */
import type { QuestionPart } from "../../data/questions.js";
import { UserError } from "../../errors.js";
import type { Question } from "../../types.js";
import { documentOf } from "./candidate.js";
import { rejections, toQuestion, type Checks, type KeptQuestion, type Rejection } from "./checks.js";
import { forEachPassage, type MakeOptions } from "./corpus.js";
import { documentOfCandidate, groupBy } from "./draw.js";
import { fingerprint, groupRepeated, splitByGroup } from "./split.js";

/** Questions by part, and how they came to be. */
export interface Made {
  parts: Record<QuestionPart, Question[]>;
  report: MakeReport;
}

export interface MakeReport {
  passages: number;
  /** Candidates, before anything was checked. */
  candidates: number;
  /** Candidates that were not reached: there were enough questions. */
  left: number;
  kept: number;
  rejected: Partial<Record<Rejection, number>>;
  /** Kept questions by kind. */
  kinds: Record<string, number>;
  /** Documents with a question, and how many groups of documents that repeat each other they are. */
  documents: number;
  groups: number;
}

/** @throws UserError with counts, where nothing was kept */
export async function finish(
  options: MakeOptions,
  checks: Checks,
  counts: Pick<MakeReport, "candidates" | "left">,
): Promise<Made> {
  const { kept } = checks;
  if (kept.length === 0) throw new UserError(nothingLeft(options, counts.candidates, checks.rejected));
  const groups = await groupsOf(options, kept);
  const parts = splitByGroup(kept, (question) => groups.get(documentOfCandidate(question)) as string, options.seed);
  const kinds = Object.fromEntries([...groupBy(kept, ({ kind }) => kind)].map(([kind, all]) => [kind, all.length]));
  return {
    parts: {
      train: parts.train.map(toQuestion),
      validation: parts.validation.map(toQuestion),
      test: parts.test.map(toQuestion),
    },
    report: {
      passages: options.passages.count,
      ...counts,
      kept: kept.length,
      rejected: Object.fromEntries(checks.rejected),
      kinds,
      documents: groups.size,
      groups: new Set(groups.values()).size,
    },
  };
}

/** The groups of the documents that have questions. */
async function groupsOf(options: MakeOptions, kept: readonly KeptQuestion[]): Promise<Map<string, string>> {
  const documents = new Map(
    kept.flatMap(({ evidence }) => evidence.map(({ id }) => [documentOf(id), new Set<number>()])),
  );
  await forEachPassage({ ...options, onProgress: undefined }, "reading", ({ id, text }) => {
    const runs = documents.get(documentOf(id));
    if (runs !== undefined) fingerprint(text, runs);
  });
  return groupRepeated(documents);
}

function nothingLeft({ passages }: MakeOptions, candidates: number, rejected: ReadonlyMap<Rejection, number>): string {
  const why = [...rejected].map(([reason, number]) => `${number} × ${rejections[reason]}`).join("; ");
  return candidates === 0 && rejected.size === 0
    ? `No question could be made of ${passages.count} ${passages.count === 1 ? "passage" : "passages"}: there are no definitions, tables, defaults, names or numbers in sentences that rules understand. Let a language model write questions, with --model or --model-url.`
    : `None of ${candidates} possible questions is worth keeping: ${why}. ${adviceFor(rejected)}`;
}

/** By the reason that came most. */
function adviceFor(rejected: ReadonlyMap<Rejection, number>): string {
  const [[most] = ["not-found"]] = [...rejected].sort((a, b) => b[1] - a[1]);
  if (["unreadable", "too-long", "not-in-passage", "in-question"].includes(most))
    return "Take a larger language model, or leave --model out: rules then make weak questions.";
  if (most === "not-found") return "Look at what the index finds with sleuth search, or allow more with --top.";
  if (most === "known-without-search")
    return "The model knows these documents: --no-closed-book keeps what it answers.";
  return "Make an index of more, or of other documents.";
}
