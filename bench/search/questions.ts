/**
 * @file `sleuth search --questions`: a thousand questions over 100,000 passages of the BM25 bench, from reading them and opening the index to the table.
 * A question is a query of that bench, its answer the longest word of it.
 */
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { BenchGroup } from "../bench.js";
import { runCase } from "../case.js";
import { buildCase, indexOf } from "./bm25.js";
import { benchCorpus } from "./corpus.js";
import type { QuestionsFigures } from "./questions-case.js";

export const parts = ["questions.100k"] as const;

/** Reports `questions.100k` and `questions.100k.cpu`, in seconds, and `questions.100k.hits`, hit@10: without hits there would be more to look through. */
export const bench: BenchGroup = async ({ quick, report, note }) => {
  const corpus = await benchCorpus(quick ? 2_000 : 100_000, note);
  if (!existsSync(indexOf(corpus))) await buildCase(corpus);
  const questions = join(corpus.folder, "questions.jsonl");
  const lines = corpus.queries.map((question, id) => {
    const answers = question
      .split(" ")
      .sort((a, b) => b.length - a.length)
      .slice(0, 1);
    return `${JSON.stringify({ id, question, answers })}\n`;
  });
  await writeFile(questions, lines.join(""));
  const options = { questions, index: indexOf(corpus) };
  const { seconds, cpuSeconds, hits } = await runCase<QuestionsFigures>("search/questions-case.ts", options);
  report({ name: "questions.100k", value: seconds, unit: "s" });
  report({ name: "questions.100k.cpu", value: cpuSeconds, unit: "s of processor time" });
  report({ name: "questions.100k.hits", value: hits, unit: "of questions" });
};
