/**
 * @file The released scorers as they are (`qa_em.py`, `qa_em_format.py`), mistakes included: they read the decoded text of prompt, response and
 * observations. For chasing published numbers (`faithful.textScoring`); everything else scores the policy's words alone.
 *
 * What is wrong with them, and kept here:
 * 1. The answer is the last of all answer tags in the whole text, and one pair alone counts as none: the prompt holds a pair or two of its own.
 *    So a policy that does not answer has answered with the prompt's example, `Beijing`, and after a malformed turn with the complaint's ` and `.
 * 2. The format is looked for after the ChatML marker `<|im_start|>assistant`: other models never have any.
 * 3. A passage with a tag in it, or an end-of-text token after the answer, spoils the format.
 * 4. Retrieval counts substrings of anything between information tags, the prompt's word "and" included.
 */
import type { Trajectory } from "../types.js";
import { squad } from "./answers.js";
import type { RewardFunction } from "./reward.js";
import { normaliseLikeSquad, strip } from "./squad.js";

/** `extract_solution`: the content of the last answer tags where there are two pairs at least. */
export function lastAnswerInText(text: string): string | null {
  const pairs = [...text.matchAll(/<answer>(.*?)<\/answer>/gs)];
  return pairs.length <= 1 ? null : strip(pairs[pairs.length - 1][1]);
}

/** `qa_em.compute_score_em` with format_score 0: 1 or 0. */
export function scoreTextEm(text: string, answers: readonly string[]): number {
  const answer = lastAnswerInText(text);
  return answer !== null && squad.matchesAnswer(answer, answers) ? 1 : 0;
}

interface TextFormatWeights {
  /** Default 0.2. */
  structure?: number;
  /** Default 0.1. */
  final?: number;
  /** Default 0. */
  retrieval?: number;
}

/** `qa_em_format.compute_score_em`; the defaults are the weights of the v0.3 scripts. */
export function scoreTextFormat(text: string, answers: readonly string[], weights: TextFormatWeights = {}): number {
  const { structure = 0.2, final = 0.1, retrieval = 0 } = weights;
  const isValid = isValidText(text);
  const answer = lastAnswerInText(text);
  if (answer !== null && squad.matchesAnswer(answer, answers)) return isValid ? 1 : 1 - structure;
  if (isValid) return isRetrievedText(text, answers) ? structure + retrieval : structure;
  return answer === null ? 0 : final;
}

type State = "start" | "think" | "thought" | "search" | "searched" | "information" | "informed" | "answer" | "end";

/** Where each tag leads; a tag that a state does not name makes the text invalid. */
const moves: Readonly<Record<State, Readonly<Record<string, State>>>> = {
  start: { "<think>": "think" },
  think: { "</think>": "thought" },
  thought: { "<search>": "search", "<answer>": "answer" },
  search: { "</search>": "searched" },
  searched: { "<information>": "information" },
  information: { "</information>": "informed" },
  informed: { "<think>": "think" },
  answer: { "</answer>": "end" },
  end: {},
};
const holdsText: ReadonlySet<State> = new Set(["think", "search", "information", "answer"]);
const markerPattern = /<\|im_start\|>assistant/;
const tags = ["think", "search", "information", "answer"];

/** `is_valid_sequence`. */
export function isValidText(text: string): boolean {
  const marker = markerPattern.exec(text);
  if (marker === null) return false;
  const content = text.slice(marker.index + marker[0].length);
  const count = (tag: string): number => content.split(tag).length - 1;
  if (tags.some((tag) => count(`<${tag}>`) !== count(`</${tag}>`))) return false;
  let state: State = "start";
  for (const part of content.split(/(<\/?(?:think|search|information|answer)>)/)) {
    if (strip(part) === "") continue;
    const isTag = /^<\/?(?:think|search|information|answer)>$/.test(part);
    if (!isTag) {
      if (!holdsText.has(state)) return false;
      continue;
    }
    if (!Object.hasOwn(moves[state], part)) return false;
    state = moves[state][part];
  }
  return state === "end";
}

/** `is_retrieval_correct`, over the whole text. */
function isRetrievedText(text: string, answers: readonly string[]): boolean {
  const blocks = [...text.matchAll(/<information>(.*?)<\/information>/gs)].map((match) => normaliseLikeSquad(match[1]));
  return answers.map(normaliseLikeSquad).some((answer) => blocks.some((block) => block.includes(answer)));
}

/** Everything that everybody wrote, as the released code decodes it: prompt, response, observations. */
export function wholeText({ texts }: Trajectory): string {
  return texts.join("");
}

/** `exact-match` under `faithful.textScoring`. */
export const textExactMatch: RewardFunction = ({ answers }, trajectory) => scoreTextEm(wholeText(trajectory), answers);

/** `search-r1-format` under `faithful.textScoring`. */
export function textFormatReward(weights: TextFormatWeights = {}): RewardFunction {
  return ({ answers }, trajectory) => scoreTextFormat(wholeText(trajectory), answers, weights);
}
