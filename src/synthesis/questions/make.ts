/** @file From the passages of an index to questions that are worth asking, divided by document. */
import type { QuestionPart } from "../../data/questions.js";
import { TimeSlice } from "../../async.js";
import { UserError } from "../../errors.js";
import { deriveSeed } from "../../random.js";
import type { SearchEngine } from "../../search/engine.js";
import type { PassageSource } from "../../search/passages.js";
import type { Question, StoredPassage } from "../../types.js";
import { documentOf, type Candidate } from "./candidate.js";
import { Checks, rejections, toQuestion, withoutAmbiguous, type KeptQuestion, type Rejection } from "./checks.js";
import { clozeCandidates } from "./cloze/cloze.js";
import { balanced, documentOfCandidate, groupBy } from "./draw.js";
import { fingerprint, groupRepeated, splitByGroup } from "./split.js";
import { WordRarity } from "./word-rarity.js";

export type Passages = Pick<PassageSource, "count" | "isDeleted" | "read">;

export interface MakeOptions {
  engine: SearchEngine;
  passages: Passages;
  /** Most questions. */
  count: number;
  /** Most questions of a document. */
  perDocument: number;
  /** The passage must be among so many when the question is searched for. */
  k: number;
  seed: number;
  /** Ids that a person struck. */
  struck?: ReadonlySet<string>;
  onProgress?: (phase: "reading" | "finding" | "checking", done: number, total: number) => void;
  signal?: AbortSignal;
}

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

/** Passages read at once, and candidates checked at once. */
const [readAtOnce, checkedAtOnce] = [256, 256];
/** Of larger indexes, so many passages are looked at: whole documents, chosen by the seed. */
const mostPassages = 400_000;

/**
 * Questions by rules, without a language model.
 * @throws UserError with counts, where no question is left; SearchError; the signal's reason
 */
export async function makeClozeQuestions(options: MakeOptions): Promise<Made> {
  const { seed, count, onProgress, signal } = options;
  const checks = new Checks({ struck: new Set(), ...options });
  const rarity = new WordRarity();
  await forEachPassage(options, "reading", ({ text }) => rarity.add(text));
  const found: Candidate[] = [];
  await forEachPassage(options, "finding", (passage) => void found.push(...clozeCandidates(passage, rarity)));
  const clear = withoutAmbiguous(found, (reason) => checks.reject(reason));
  let tried = 0;
  let group: Candidate[] = [];
  for (const candidate of balanced(clear, seed)) {
    group.push(candidate);
    if (group.length < Math.min(checkedAtOnce, count - checks.kept.length)) continue;
    await checks.take(group, { signal });
    tried += group.length;
    group = [];
    onProgress?.("checking", checks.kept.length, count);
    if (checks.kept.length >= count) break;
  }
  await checks.take(group, { signal });
  tried += group.length;
  return finish(options, checks, { candidates: found.length, left: clear.length - tried });
}

/** Calls `use` with the passages that are looked at, in slices of time. */
async function forEachPassage(
  { passages, seed, onProgress, signal }: MakeOptions,
  phase: "reading" | "finding",
  use: (passage: StoredPassage) => void,
): Promise<void> {
  const share = Math.min(1, mostPassages / Math.max(1, passages.count));
  const isChosen = ({ id }: StoredPassage): boolean =>
    share === 1 || deriveSeed(seed, documentOf(id)) < share * 2 ** 32;
  const slice = new TimeSlice();
  for (let first = 0; first < passages.count; first += readAtOnce) {
    signal?.throwIfAborted();
    const numbers = Array.from({ length: Math.min(readAtOnce, passages.count - first) }, (_, index) => first + index);
    for (const passage of await passages.read(numbers.filter((number) => !passages.isDeleted(number)))) {
      if (isChosen(passage)) use(passage);
      if (slice.isOver) await slice.next();
    }
    onProgress?.(phase, first + numbers.length, passages.count);
  }
}

/** @throws UserError where nothing was kept */
async function finish(
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
  const groups = groupRepeated(documents);
  return groups;
}

function nothingLeft({ passages }: MakeOptions, candidates: number, rejected: ReadonlyMap<Rejection, number>): string {
  const why = [...rejected].map(([reason, number]) => `${number} × ${rejections[reason]}`).join("; ");
  return candidates === 0
    ? `No question could be made of ${passages.count} passages: they have no definitions, tables, defaults, names or numbers in sentences that rules understand. Let a language model write questions, with --model or --model-url.`
    : `None of ${candidates} questions is worth keeping: ${why}. Look at what the index finds with sleuth search, or allow more with --top.`;
}
