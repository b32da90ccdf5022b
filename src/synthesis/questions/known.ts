/** @file The closed-book check: whether a reply without search holds a right answer. */
import { answerComparison, normaliseAnswer } from "../../rewards/normalise.js";
import { unthought } from "./writer/unthought.js";

/** Whether the words of an answer stand in the reply, a thought before it left out. */
export function coverMatches(reply: string, answers: readonly string[]): boolean {
  const lookIn = answerComparison.lookIn(unthought(reply));
  return answers.map(normaliseAnswer).some((answer) => answer !== "" && lookIn(answer));
}
