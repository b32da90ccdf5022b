/**
 * @file `sleuth search --questions`: what an index is worth for questions. How often an answer stands in the first passages, engines side by side over
 * the same questions, and which questions search does not help.
 */
import { isQuestionsFolder, loadQuestions, partsOf } from "../data/questions.js";
import { findAnswers, foreignEvidence, hitRate, isWithin, type QuestionHit } from "../eval/hits.js";
import { pairedDifference, type Estimate } from "../eval/intervals.js";
import { formatDifference, formatShare } from "../eval/table.js";
import { writeFileDurably } from "../files/durable.js";
import { jsonLine, oneLine } from "../printable.js";
import { foundWithin } from "../synthesis/questions/folder.js";
import { takesOneQueryPerRequest } from "../search/registry.js";
import type { Question } from "../types.js";
import { classify } from "./failure.js";
import { tooLate, type OpenColumn } from "./search-engines.js";
import { count, duration, fitTable, plural } from "./terminal/format.js";
import { ProgressBar } from "./terminal/progress-bar.js";
import type { Terminal } from "./terminal/terminal.js";
import type { VerbAnswer } from "./verb.js";

export interface WorthOptions {
  /** File or folder of questions. */
  questions: string;
  /** Passages asked for. Default: 10. */
  top?: number;
  /** At most so many questions, the first ones. */
  limit?: number;
  /** File for a line per question. */
  out?: string;
}

/** What an engine found for one question; of passages, what tells them apart. */
interface Found extends Omit<QuestionHit, "question" | "passages"> {
  passages: { id: string; title: string; score: number }[];
}

/** An engine's answers in the order of the questions, or why there are none. */
type Measured = { engine: string } & ({ ms: number; found: Found[] } | { error: string; cause: unknown });
type Answered = Extract<Measured, { found: Found[] }>;

/** Passages asked for. */
export const worthTop = 10;
/** Depths that are told, as far as they go, beside the last one. */
const usualDepths = [1, 3, 10];
/** Questions of one search, for engines that take one a request. */
const fewAtOnce = 4;
/** Questions without a hit that are shown. */
const mostShown = 10;

const reservation =
  "A hit: the words of an answer stand in the title or the text. That need not make the passage evidence, and another query than the question may find more.";

const selected = (within: number): string =>
  `sleuth questions make kept only what its engine found among the first ${within} passages: from hit@${within} on, these shares say nothing of the index.`;

/**
 * Searches for every question with every engine, and tells how often an answer was found.
 * @throws UserError for questions that cannot be read; the failure of an engine that is the only one
 */
export async function measureWorth(
  terminal: Terminal,
  columns: readonly OpenColumn[],
  { questions: source, top = worthTop, limit = Infinity, out }: WorthOptions,
  signal: AbortSignal,
): Promise<VerbAnswer> {
  const questions = (await allQuestions(source)).slice(0, limit);
  const measured: Measured[] = [];
  for (const column of columns) measured.push(await measure(terminal, column, questions, top, signal));
  const failed = measured.filter((one) => "error" in one);
  if (measured.length === 1 && failed.length === 1) throw failed[0].cause;
  const answered = measured.filter((one) => "found" in one);
  if (out !== undefined) await writeFileDurably(out, linesOf(questions, answered));
  const depths = [...new Set([...usualDepths.filter((depth) => depth < top), top])];
  for (const { engine, error } of failed) terminal.print(terminal.colors.red(`${engine}: ${error}`));
  if (answered.length > 0) {
    show(terminal, questions, answered, depths, out);
    const within = (await isQuestionsFolder(source)) ? await foundWithin(source) : undefined;
    if (within !== undefined) terminal.print(terminal.colors.dim(selected(within)));
  }
  return { ...answerOf(questions, measured, depths), exitStatus: answered.length === 0 ? 1 : 0 };
}

/** Of a folder, every part that it has: an index is worth the same for all of them. */
async function allQuestions(source: string): Promise<Question[]> {
  if (!(await isQuestionsFolder(source))) return loadQuestions(source);
  const parts = await partsOf(source);
  return (await Promise.all(parts.map((part) => loadQuestions(source, part)))).flat();
}

async function measure(
  terminal: Terminal,
  { name, engine, failure, timeoutMs }: OpenColumn,
  questions: readonly Question[],
  k: number,
  signal: AbortSignal,
): Promise<Measured> {
  const bar = new ProgressBar(terminal, { label: `Searching ${name}`, total: questions.length, unit: "question" });
  const started = performance.now();
  const found: Found[] = [];
  try {
    if (engine === undefined) throw failure;
    const batch = takesOneQueryPerRequest(name) ? fewAtOnce : undefined;
    const options = { k, batch, timeoutMs, signal, late: () => tooLate(name, timeoutMs) };
    for await (const { rank, evidenceRank, refused, passages } of findAnswers(engine, questions, options)) {
      const told = passages.map(({ id, title, score }) => ({ id, title, score }));
      found.push({ rank, evidenceRank, refused, passages: told });
      bar.advance();
    }
    return { engine: name, ms: performance.now() - started, found };
  } catch (cause) {
    signal.throwIfAborted();
    return { engine: name, error: classify(cause)?.message ?? String(cause), cause };
  } finally {
    bar.stop();
  }
}

/** A line per question: `{ id, question, answers, engines: { bm25: { rank, passages } } }`. */
function linesOf(questions: readonly Question[], answered: readonly Answered[]): string {
  return questions
    .map(({ id, question, answers }, place) =>
      jsonLine({
        ...{ id, question, answers },
        engines: Object.fromEntries(answered.map(({ engine, found }) => [engine, found[place]])),
      }),
    )
    .join("");
}

function show(
  terminal: Terminal,
  questions: readonly Question[],
  answered: readonly Answered[],
  depths: readonly number[],
  out: string | undefined,
): void {
  const { bold, dim } = terminal.colors;
  const rows = [
    [plural(questions.length, "question"), ...depths.map((depth) => `hit@${depth}`)],
    ...answered.flatMap(({ engine, found }) => {
      const evidence = evidenceRanks(found);
      const row = (name: string, ranks: readonly (number | null)[]): string[] => [
        name,
        ...depths.map((depth) => formatShare(hitRate(ranks, depth))),
      ];
      return [row(engine, ranksOf(found)), ...(evidence.length === 0 ? [] : [row("  its evidence", evidence)])];
    }),
    ...differences(answered, depths).map(({ name, hits }) => [name, ...hits.map(formatDifference)]),
  ];
  const [head, ...lines] = fitTable(rows, terminal.columns);
  terminal.print(bold(head));
  for (const line of lines) terminal.print(line);
  terminal.print(dim(`Shares with 95 % intervals. ${reservation}`));
  for (const { engine, ms, found } of answered) {
    const refused = found.filter((one) => one.refused !== undefined).length;
    const foreign = foreignEvidence(evidenceRanks(found));
    if (foreign !== undefined) terminal.print(terminal.colors.yellow(`${engine}: ${foreign}`));
    if (refused > 0) terminal.print(`${engine} refused ${plural(refused, "question")}: counted as without a hit.`);
    terminal.note(terminal.progressColors.dim(`${engine}: ${duration(ms)}`));
  }
  showMissed(terminal, questions, answered, out);
}

/** The questions for which no engine found an answer. */
function showMissed(
  terminal: Terminal,
  questions: readonly Question[],
  answered: readonly Answered[],
  out: string | undefined,
): void {
  const missed = questions.filter((_, place) => answered.every(({ found }) => found[place].rank === null));
  if (missed.length === 0) return;
  const by = answered.length === 1 ? "" : " by any engine";
  terminal.print();
  terminal.print(terminal.colors.bold(`${plural(missed.length, "question")} without a hit${by}`));
  for (const { question, answers } of missed.slice(0, mostShown))
    terminal.print(`  ${oneLine(question)} ${terminal.colors.dim(`→ ${oneLine(answers.join(" | "))}`)}`);
  if (missed.length > mostShown) {
    const where = out === undefined ? "--out FILE writes all" : `all are in ${oneLine(out)}`;
    terminal.print(terminal.colors.dim(`  and ${count(missed.length - mostShown)} more; ${where}`));
  }
}

function ranksOf(found: readonly Found[]): (number | null)[] {
  return found.map(({ rank }) => rank);
}

/** Of the questions that name the passages that they were made from. */
function evidenceRanks(found: readonly Found[]): (number | null)[] {
  return found.flatMap(({ evidenceRank }) => (evidenceRank === undefined ? [] : [evidenceRank]));
}

interface Difference {
  /** `dense − bm25` */
  name: string;
  engine: string;
  against: string;
  /** Per depth: hit@k of the one minus that of the other, over the same questions. */
  hits: Estimate[];
}

/** Every engine against the first. Paired: question by question, which is narrower than two intervals side by side. */
function differences([first, ...others]: readonly Answered[], depths: readonly number[]): Difference[] {
  const hits = (found: readonly Found[], depth: number): boolean[] => found.map(({ rank }) => isWithin(rank, depth));
  return others.map(({ engine, found }) => ({
    ...{ name: `${engine} − ${first.engine}`, engine, against: first.engine },
    hits: depths.map((depth) => pairedDifference(hits(first.found, depth), hits(found, depth))),
  }));
}

/** What --json prints. */
function answerOf(questions: readonly Question[], measured: readonly Measured[], depths: readonly number[]) {
  const answered = measured.filter((one) => "found" in one);
  const byDepth = (estimates: readonly Estimate[]): Record<string, Estimate> =>
    Object.fromEntries(depths.map((depth, place) => [depth, estimates[place]]));
  return {
    questions: questions.length,
    engines: measured.map((one) =>
      "error" in one
        ? { engine: one.engine, error: one.error }
        : {
            ...{ engine: one.engine, ms: one.ms },
            hits: byDepth(depths.map((depth) => hitRate(ranksOf(one.found), depth))),
            ...evidenceOf(one.found, (ranks) => byDepth(depths.map((depth) => hitRate(ranks, depth)))),
            withoutHit: one.found.filter(({ rank }) => rank === null).length,
            refused: one.found.filter(({ refused }) => refused !== undefined).length,
          },
    ),
    differences: differences(answered, depths).map(({ engine, against, hits }) => ({
      ...{ engine, against },
      hits: byDepth(hits),
    })),
    withoutHit: questions.flatMap(({ id }, place) =>
      answered.length > 0 && answered.every(({ found }) => found[place].rank === null) ? [id] : [],
    ),
  };
}

/** Nothing where no question names its evidence. */
function evidenceOf<Told>(found: readonly Found[], tell: (ranks: (number | null)[]) => Told) {
  const ranks = evidenceRanks(found);
  return ranks.length === 0 ? {} : { questionsWithEvidence: ranks.length, evidence: tell(ranks) };
}
