/**
 * @file What makes numbers on a question set mean less than they seem: answers that stand in the question or in the prompt, questions that come again,
 * test questions that are trained on. Answers are compared as they are scored.
 */
import { TimeSlice } from "../../async.js";
import type { Protocol } from "../../prompts/protocol.js";
import { renderPrompt } from "../../prompts/render.js";
import { answerComparison, normaliseAnswer } from "../../rewards/normalise.js";
import { normaliseLikeSquad } from "../../rewards/squad.js";
import type { Question } from "../../types.js";
import { NearDuplicates } from "../near-duplicates.js";
import type { QuestionPart } from "../questions.js";

/** What is looked for, and why it matters. */
export const findings = {
  "answer-in-question": "an answer stands in the question: it can be copied from there",
  "answer-in-prompt": "an answer stands in the prompt that every question gets",
  "empty-answer":
    "an answer is nothing by SQuAD's comparison (articles and punctuation alone): em/squad takes an empty answer for right",
  repeated: "the same question stands before in this part",
  contradictory: "the same question stands before in this part with none of these answers",
  "trained-on": "a training question says the same",
  "nearly-trained-on": "a training question says nearly the same",
} as const;
export type Finding = keyof typeof findings;

/** A question that something was found of. */
export interface Found {
  question: Question;
  /** The other question, or the answer, that it is about. */
  detail: string;
}

export interface PartCheck {
  part: string;
  questions: number;
  found: Record<Finding, Found[]>;
}

export interface CheckOptions {
  /** Whose prompts are looked at. */
  protocol: Protocol;
  signal?: AbortSignal;
  onProgress?: (done: number) => void;
}

/**
 * Checks parts one after another; those other than "train" also against the training questions.
 * @param parts by name, as a folder has them, or one file as "train"
 * @param trained questions that a model was trained on, where they are others than the part "train"
 */
export async function checkQuestions(
  parts: Readonly<Partial<Record<QuestionPart | string, readonly Question[]>>>,
  trained: readonly Question[] | undefined,
  options: CheckOptions,
): Promise<PartCheck[]> {
  const slice = new TimeSlice();
  let done = 0;
  const step = async (): Promise<void> => {
    done += 1;
    if (!slice.isOver) return;
    options.onProgress?.(done);
    await slice.next();
    options.signal?.throwIfAborted();
  };
  const known = trained ?? parts.train ?? [];
  const isNeeded = trained !== undefined || Object.keys(parts).some((part) => part !== "train");
  const index = isNeeded ? await TrainedOn.of(known, step) : undefined;
  const checks: PartCheck[] = [];
  for (const [part, questions = []] of Object.entries(parts)) {
    const against = trained === undefined && part === "train" ? undefined : index;
    checks.push(await checkPart(part, questions, against, options.protocol, step));
  }
  options.onProgress?.(done);
  return checks;
}

async function checkPart(
  part: string,
  questions: readonly Question[],
  trained: TrainedOn | undefined,
  protocol: Protocol,
  step: () => Promise<void>,
): Promise<PartCheck> {
  const found = Object.fromEntries(Object.keys(findings).map((name) => [name, [] as Found[]])) as PartCheck["found"];
  const seen = new Map<string, Question>();
  const standsInPrompt = answerComparison.lookIn(renderPrompt(protocol, { question: "" }));
  for (const question of questions) {
    for (const [finding, detail] of inOne(question, standsInPrompt)) found[finding].push({ question, detail });
    const same = normaliseAnswer(question.question);
    const earlier = seen.get(same);
    if (earlier !== undefined) found[repeatOf(earlier, question)].push({ question, detail: earlier.id });
    else seen.set(same, question);
    const again = trained?.find(question);
    if (again !== undefined)
      found[again.isExact ? "trained-on" : "nearly-trained-on"].push({ question, detail: again.id });
    await step();
  }
  return { part, questions: questions.length, found };
}

function* inOne(
  { question, answers }: Question,
  standsInPrompt: (normalisedAnswer: string) => boolean,
): Generator<[Finding, string]> {
  const standsInQuestion = answerComparison.lookIn(question);
  const tests: [Finding, (answer: string) => boolean][] = [
    ["answer-in-question", (answer) => standsInQuestion(normaliseAnswer(answer))],
    ["answer-in-prompt", (answer) => standsInPrompt(normaliseAnswer(answer))],
    ["empty-answer", (answer) => normaliseLikeSquad(answer) === ""],
  ];
  for (const [finding, test] of tests) {
    const answer = answers.find(test);
    if (answer !== undefined) yield [finding, answer];
  }
}

function repeatOf(earlier: Question, question: Question): Finding {
  const answers = new Set(earlier.answers.map(normaliseAnswer));
  return question.answers.some((answer) => answers.has(normaliseAnswer(answer))) ? "repeated" : "contradictory";
}

/** Training questions, to look others up in. */
class TrainedOn {
  readonly #questions: readonly Question[];
  readonly #exact = new Map<string, string>();
  readonly #near = new NearDuplicates();

  private constructor(questions: readonly Question[]) {
    this.#questions = questions;
  }

  static async of(questions: readonly Question[], step: () => Promise<void>): Promise<TrainedOn> {
    const trained = new TrainedOn(questions);
    for (const { id, question } of questions) {
      const same = normaliseAnswer(question);
      if (!trained.#exact.has(same)) trained.#exact.set(same, id);
      trained.#near.add(question);
      await step();
    }
    return trained;
  }

  find({ question }: Question): { id: string; isExact: boolean } | undefined {
    const exact = this.#exact.get(normaliseAnswer(question));
    if (exact !== undefined) return { id: exact, isExact: true };
    const near = this.#near.find(question);
    return near === undefined ? undefined : { id: this.#questions[near].id, isExact: false };
  }
}
