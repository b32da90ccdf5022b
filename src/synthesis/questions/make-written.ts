/** @file Questions that a language model writes, from one passage or two that share a name, with the same checks as those made by rules. */
import { mapConcurrent } from "../../async.js";
import { UserError } from "../../errors.js";
import { ours } from "../../rewards/answers.js";
import { normaliseAnswer } from "../../rewards/normalise.js";
import type { StoredPassage } from "../../types.js";
import { evidenceOf, type Candidate } from "./candidate.js";
import { Checks } from "./checks.js";
import { documentShare, type MakeOptions } from "./corpus.js";
import { finish, type Made } from "./finish.js";
import type { AnsweredRequests } from "./writer/answered.js";
import type { Target, WritingPlan } from "./writer/plan.js";
import { askForQuestions, askForTwoHops, askWithoutSearch, readQuestions } from "./writer/prompts.js";
import { unthought } from "./writer/unthought.js";

export interface WriteOptions extends MakeOptions {
  plan: WritingPlan;
  answered: AnsweredRequests;
  /** Whether questions that the model answers without search are left out. */
  closedBook: boolean;
}

/** Requests between two looks at what was kept, for each that the writer works on at once. */
const requestsPerRound = 4;
/** Replies without any question in them after which the model is given up: more of them would cost, and help nobody. */
const mostNonsense = 64;
/** More questions of one reply are not looked at. */
const questionsPerReply = 3;
/** Most words of a written answer. */
const mostAnswerWords = 6;

/**
 * Asks until there are enough questions or the plan is at its end.
 * @throws UserError with counts, where no question is left or the first replies hold none; what the writer throws; the signal's reason
 */
export async function makeWrittenQuestions(options: WriteOptions): Promise<Made> {
  const { plan, answered, count, onProgress, signal, closedBook } = options;
  const { perDocument = documentShare(count, plan.documents) } = options;
  const checks = new Checks({ struck: new Set(), ...options, perDocument });
  const round = Math.max(8, requestsPerRound * answered.concurrency);
  let [asked, candidates, nothing] = [0, 0, true];
  const isKnown = closedBook ? (one: Candidate, ending: AbortSignal) => isKnownTo(answered, one, ending) : undefined;
  const tell = (): void => onProgress?.("checking", Math.min(count, checks.kept.length), count);
  tell();
  while (asked < plan.targets.length && checks.kept.length < count) {
    const targets = plan.targets.slice(asked, asked + round);
    const written = await mapConcurrent(
      targets,
      answered.concurrency,
      async (target, ending) => {
        const questions = await write(options, target, checks, ending);
        tell();
        return questions;
      },
      { signal },
    );
    asked += targets.length;
    candidates += written.reduce((sum, { read }) => sum + read, 0);
    const usable = written.flatMap((one) => one.candidates);
    nothing &&= usable.length === 0;
    await checks.take(usable, { signal, isKnown });
    if (asked >= mostNonsense && nothing) throw new UserError(nonsense(asked));
    tell();
  }
  checks.kept.splice(count);
  return finish(options, checks, { candidates, left: 0 });
}

/** The questions of one request, and those of them whose answer is right for their passages. */
async function write(
  { passages, answered }: WriteOptions,
  { numbers, bridge }: Target,
  checks: Checks,
  signal: AbortSignal,
): Promise<{ read: number; candidates: Candidate[] }> {
  const shown = await passages.read(numbers);
  const messages = bridge === undefined ? askForQuestions(shown[0]) : askForTwoHops(shown[0], shown[1], bridge);
  const reply = await answered.reply(messages, { maxTokens: 400, temperature: 0.7, signal });
  const written = readQuestions(reply).slice(0, questionsPerReply);
  if (written.length === 0) checks.reject("unreadable");
  const right = written.filter(({ answer }) => {
    const reason = objection(answer, shown);
    if (reason !== undefined) checks.reject(reason);
    return reason === undefined;
  });
  return { read: written.length, candidates: right.map((one) => candidateOf(one, shown, bridge)) };
}

function candidateOf(
  { question, answer }: { question: string; answer: string },
  shown: readonly StoredPassage[],
  bridge: string | undefined,
): Candidate {
  return {
    ...{ question, answers: [answer], hops: shown.length },
    kind: bridge === undefined ? "written" : "written-two-hops",
    evidence: shown.map(evidenceOf),
    quote: sentenceWith((shown.at(-1) as StoredPassage).text, answer),
    ...(bridge === undefined ? {} : { bridge }),
  };
}

function objection(
  answer: string,
  read: readonly StoredPassage[],
): "too-long" | "not-in-passage" | "in-first-passage" | undefined {
  if (normaliseAnswer(answer).split(" ").length > mostAnswerWords) return "too-long";
  const holds = ours.holdsAnswer([answer]);
  if (!holds(read.at(-1) as StoredPassage)) return "not-in-passage";
  return read.length > 1 && holds(read[0]) ? "in-first-passage" : undefined;
}

/** The sentence that holds the answer, or the answer alone. */
function sentenceWith(text: string, answer: string): string {
  const holds = ours.holdsAnswer([answer]);
  return text.split(/(?<=[.!?。])\s+|\n\s*\n/).find((one) => holds({ title: "", text: one })) ?? answer;
}

async function isKnownTo(
  answered: AnsweredRequests,
  { question, answers }: Candidate,
  signal: AbortSignal,
): Promise<boolean> {
  const reply = await answered.reply(askWithoutSearch(question), { maxTokens: 32, temperature: 0, signal });
  return ours.holdsAnswer(answers)({ title: "", text: unthought(reply) });
}

function nonsense(asked: number): string {
  return `None of the first ${asked} replies held a question that could be read, with an answer from its passage. Nothing was written but the replies, which stay in the folder. Take a larger model (models below about 3B parameters rarely manage), or leave --model out: rules then make weak questions.`;
}
