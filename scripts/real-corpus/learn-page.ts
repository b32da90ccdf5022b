/** @file The section of docs/results/real-corpus.md about a model that learnt to search the documents. */
import { join } from "node:path";
import { wilson, type Estimate } from "../../src/eval/intervals.js";
import type { EvaluationReport } from "../../src/eval/evaluation.js";
import { retrievedAnswer } from "../../src/rewards/answers.js";
import { attemptPairs, pairedGain, type AttemptPair } from "../../src/train/report/gain.js";
import { readMetrics } from "../../src/train/metrics-file.js";
import type { TrainResult } from "../../src/train/result.js";
import { readRunConfig } from "../../src/train/run-folder.js";
import type { SftResult } from "../../src/train/sft/sft.js";
import {
  chosenTranscripts,
  metricHeading,
  metricRows,
  minutes,
  number,
  signed,
  stepsPerRow,
  transcript,
} from "../run-page.js";
import type { StageRecord } from "../stages.js";
import type { StageName } from "./learn.js";

type Records = Readonly<Record<StageName, StageRecord>>;

const share = ({ value, low, high }: Estimate): string => `${value.toFixed(3)} [${low.toFixed(3)}, ${high.toFixed(3)}]`;
/** @throws what reading a run throws that is not finished */
export async function learnSection(folder: string, records: Records): Promise<string> {
  const trained = records.train.answer as unknown as TrainResult;
  const sft = records.sft.answer as unknown as SftResult;
  const pairs = (await attemptPairs(join(folder, "run"), "greedy")) ?? [];
  const config = await readRunConfig(join(folder, "run"));
  const metrics = await readMetrics(join(folder, "run"));
  const gain = pairedGain(pairs);
  const { questionsPerStep } = config.train;
  const stages = Object.entries(records) as [StageName, StageRecord][];
  const total = stages.reduce((sum, [, { seconds }]) => sum + seconds, 0);
  const commits = [...new Set(stages.map(([, { commit }]) => commit))].join(", ");
  return `## From these documents to a model

\`npm run real-corpus -- --learn\` at ${commits}: questions by rules, transcripts by a script, SmolLM2-135M-Instruct with an adapter of rank ${config.model.loraRank}, two processor cores, no server and no other model.
The questions are split by document: no test question is about a document of a training question. They are weak ones, made by rules of definitions, tables and gaps.

${exactMatches(records, pairs)}

**Reinforcement over the warm start: ${signed(gain.value)} exact match, 95 % interval [${signed(gain.low)}, ${signed(gain.high)}]** (greedy, paired bootstrap over ${gain.n} test questions, 10,000 samples). ${gain.low > 0 ? "The interval lies above 0." : "The interval does not lie above 0."}

| stage | took | command |
| --- | --- | --- |
${stages.map(([name, record]) => stageRow(name, record)).join("\n")}
| together | ${minutes(total)} | |

${worth(records.worth)} ${collected(records.collect)}
The warm-up took ${sft.steps} steps on ${sft.transcripts.training} transcripts; its loss on ${sft.transcripts.validation} others fell from ${number(sft.validation.before, 3)} to ${number(sft.validation.best, 3)} nats per token.
Reinforcement took ${trained.steps} steps of ${questionsPerStep} questions × ${config.algorithm.groupSize} attempts (${number(trained.seconds / Math.max(1, trained.steps), 0)} s a step); the checkpoint of step ${trained.best?.step ?? trained.steps} was chosen on validation questions. Peak memory ${trained.peakMemoryMb} MB.

### What is weak

${weak(pairs)}

### Steps

Means of ${stepsPerRow} steps, as in [the run over the built-in world](smollm2.md#steps).

${metricHeading}
${metricRows(metrics).join("\n")}

### Five transcripts

From the test after training, greedy. The last line says how each ended.

${chosenTranscripts(pairs).map(transcript).join("\n")}`;
}

/** The table of exact match, with Wilson's intervals. */
function exactMatches({ closedBook, promptOnly }: Records, pairs: readonly AttemptPair[]): string {
  const ofEval = ({ answer }: StageRecord): EvaluationReport => (answer as { greedy: EvaluationReport }).greedy;
  const ofRun = (when: keyof AttemptPair) => {
    const attempts = pairs.map((pair) => pair[when]);
    const right = attempts.filter((record) => record.exactMatch === 1).length;
    const searches = attempts.reduce((sum, { trajectory }) => sum + trajectory.searches.length, 0) / attempts.length;
    return { exactMatch: wilson(right, attempts.length), n: attempts.length, searches };
  };
  const untrained = (record: StageRecord) => {
    const { exactMatch, n, searchesPerQuestion } = ofEval(record);
    return { exactMatch, n, searches: searchesPerQuestion.value };
  };
  const rows = [
    ["closed book: the model without search", untrained(closedBook)],
    ["the model with search, untrained", untrained(promptOnly)],
    ["warm start", ofRun("before")],
    ["after reinforcement", ofRun("after")],
  ] as const;
  const lines = rows.map(
    ([name, { exactMatch, n, searches }]) => `| ${name} | ${share(exactMatch)} | ${number(searches)} | ${n} |`,
  );
  return `| | exact match, greedy | searches per question | test questions |\n| --- | --- | --- | --- |\n${lines.join("\n")}`;
}

function stageRow(name: string, { words, seconds, starts }: StageRecord): string {
  // A stage may have run in another checkout: what matters of its paths is what they lead to.
  const command = ["sleuth", ...words]
    .map((word) => word.replace(/^.*\/real-corpus\/(learn(-small)?\/)?/, ""))
    .join(" ");
  return `| ${name}${starts > 1 ? ` (${starts} starts)` : ""} | ${minutes(seconds)} | \`${command}\` |`;
}

/** What search finds, by the verb's own numbers. */
function worth({ answer }: StageRecord): string {
  const { questions, engines } = answer as unknown as {
    questions: number;
    engines: { engine: string; hits: Record<string, Estimate> }[];
  };
  const [{ engine, hits }] = engines;
  const rates = Object.entries(hits).map(([k, estimate]) => `hit@${k} ${share(estimate)}`);
  return `Search with a question itself (${engine}, ${questions} questions of all parts): ${rates.join(", ")}.`;
}

function collected({ answer }: StageRecord): string {
  const { attempts, questions, outcomes, kept } = answer as unknown as {
    attempts: number;
    questions: number;
    outcomes: Record<string, number>;
    kept: number;
  };
  const counts = Object.entries(outcomes).map(([outcome, times]) => `${times} ${outcome}`);
  return `The script made ${attempts} attempts at ${questions} questions: ${counts.join(", ")}; ${kept} transcripts were kept.`;
}

/** Where the trained model fails, counted. */
function weak(pairs: readonly AttemptPair[]): string {
  const wrong = pairs.map(({ after }) => after).filter((record) => record.exactMatch !== 1);
  const of = (name: string, fits: (record: AttemptPair["after"]) => boolean): string =>
    `- ${name}: ${wrong.filter(fits).length}`;
  const found = ({ trajectory, question }: AttemptPair["after"]): boolean =>
    retrievedAnswer(trajectory, question?.answers ?? []);
  return `Of ${pairs.length} test questions ${wrong.length} were answered wrong:

${of("without a search", ({ trajectory }) => trajectory.searches.length === 0)}
${of("no passage that was shown holds the answer", (record) => record.trajectory.searches.length > 0 && !found(record))}
${of("a passage that was shown holds it, and another span was given", (record) => found(record) && record.trajectory.answer !== null)}
${of("no answer", ({ trajectory }) => trajectory.answer === null)}`;
}
