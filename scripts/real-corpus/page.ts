/** @file docs/results/real-corpus.md: one section for each commit that was measured. */
import { wilson } from "../../src/eval/intervals.js";
import { hitsWithin, observationTokens, type Question } from "./measure.js";

export interface Result {
  /** Of the code that made and searched the index. */
  commit: string;
  command: string;
  /** `name version`, in the order of `packages`. */
  packages: readonly string[];
  documents: number;
  /** Documents that could not be read. */
  skipped: number;
  passages: number;
  indexSeconds: number;
  /** Passages that fit an observation; null where the tokenizer is not there. */
  withinBudget: number | null;
  repeated: { text: number; titleAndText: number };
  asked: readonly Asked[];
}

export interface Asked {
  question: Question;
  /** Of the first passage that holds an answer, from 1; null when none of the ten does. */
  rank: number | null;
  /** Whether an answer stands in any passage of the index. */
  isAnswerable: boolean;
  /** The title of the first passage; "–" when nothing was found. */
  first: string;
}

const preamble = `# Real documentation

What \`sleuth index\` and \`sleuth search\` make of documents that people read: Debian's documentation of bash, git, PostgreSQL and Python, and packages of npm (\`scripts/real-corpus/fetch.ts\` has their
versions), with BM25 and default settings, through the command line. The questions (\`scripts/real-corpus/questions.jsonl\`) were written from reading the documents, in a user's words, before any search with them,
and are not tuned.

- **Hit@k**: one of the answers stands in one of the first k passages, but for case and white space; with its 95 % Wilson interval. An answer may also stand in a passage of another document.
- **Within the budget**: the passage alone in an observation has at most ${observationTokens} tokens of SmolLM2; a longer one is never shown to a policy with that budget.
- **Repeated**: the text of the passage is that of an earlier one, whatever its title; with its title, too, in brackets.
- **In the index**: an answer stands in a passage at all, so that a miss is the engine's or the question's, and not that of reading or cutting documents.
`;

const share = (part: number, whole: number): string => (whole === 0 ? "–" : (part / whole).toFixed(4));
const number = (value: number): string => value.toLocaleString("en-US");
const cell = (text: string): string => text.replace(/\s+/g, " ").replaceAll("|", "\\|").replaceAll("\`", "");

/** The section of one commit. */
export function section(result: Result): string {
  const { commit, command, packages, passages, repeated, withinBudget, asked } = result;
  const hit = (k: number): string => {
    const n = asked.length;
    const hits = hitsWithin(asked.map(({ rank }) => rank), k); // prettier-ignore
    const { value, low, high } = wilson(hits, n);
    return `| hit@${k} | ${hits} of ${n}: **${value.toFixed(3)}** [${low.toFixed(3)}, ${high.toFixed(3)}] |`;
  };
  const budget =
    withinBudget === null
      ? "not counted: the model is not there (`npm run fixtures:smollm2`)"
      : `**${share(withinBudget, passages)}** (${number(passages - withinBudget)} are longer)`;
  return `## At ${commit}

\`${command}\`; ${packages.join(", ")}.

| | |
|---|---|
| documents | ${number(result.documents)}, and ${number(result.skipped)} that could not be read |
| passages | ${number(passages)} |
| within the budget of ${observationTokens} tokens | ${budget} |
| repeated | **${share(repeated.text, passages)}** (${share(repeated.titleAndText, passages)}) |
${[1, 3, 10].map(hit).join("\n")}
| answers in the index | ${asked.filter(({ isAnswerable }) => isAnswerable).length} of ${asked.length} |
| reading and indexing | ${result.indexSeconds.toFixed(0)} s |

${bySource(asked)}

Questions without an answer in the first three passages:

| question | answer | stands in | rank | in the index | first passage |
|---|---|---|---|---|---|
${asked
  .filter(({ rank }) => rank === null || rank > 3)
  .map(missRow)
  .join("\n")}
`;
}

function bySource(asked: readonly Asked[]): string {
  const sources = [...new Set(asked.map(({ question }) => sourceOf(question)))];
  const rows = sources.map((source) => {
    const ranks = asked.filter(({ question }) => sourceOf(question) === source).map(({ rank }) => rank);
    return `| ${source} | ${ranks.length} | ${[1, 3, 10].map((k) => hitsWithin(ranks, k)).join(" | ")} |`;
  });
  return `| documents of | questions | hit@1 | hit@3 | hit@10 |\n|---|---|---|---|---|\n${rows.join("\n")}`;
}

const sourceOf = ({ evidence }: Question): string => evidence.split("/")[0];

function missRow({ question, rank, isAnswerable, first }: Asked): string {
  const { answers, evidence, place } = question;
  const file = evidence.split("/").slice(-2).join("/");
  return `| ${[question.question, answers[0], `${file}, ${place}`, rank ?? "–", isAnswerable ? "yes" : "no", first].map((value) => cell(String(value))).join(" | ")} |`;
}

/** The page with this section in it: in place of an earlier one of the same commit, else last. */
export function withSection(page: string, added: string): string {
  const sections = page.split(/^(?=## )/m).slice(1);
  const heading = (text: string): string => text.split("\n", 1)[0];
  const place = sections.findIndex((text) => heading(text) === heading(added));
  if (place < 0) sections.push(added);
  else sections[place] = added;
  return [preamble, ...sections.map((text) => `${text.trimEnd()}\n`)].join("\n");
}
