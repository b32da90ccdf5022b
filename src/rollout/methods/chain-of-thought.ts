/**
 * @file Chain of thought without examples, in two stages as in arXiv:2205.11916: the policy reasons, and where it has not come to an answer by the end of
 * its turn, the answer is begun for it.
 */
import type { Protocol } from "../../prompts/protocol.js";
import { answerIs, thoughtThenAnswer, type Method } from "./method.js";

const instructed = (own: Protocol): Protocol => ({
  ...own,
  prompt:
    'Answer the question. Think step by step, then write "So the answer is:" and the answer in as few words as possible.\nQuestion: {question}\nLet\'s think step by step.',
  searches: false,
  invalidAction: "",
  untagged: { stops: [], answerAfter: answerIs, otherwise: "malformed" },
  lastTurn: "\nSo the answer is:",
});

export const chainOfThought: Method = {
  title: "CoT",
  help: "a thought, then the answer; no search. Give the thought room: rollout.maxTokensPerTurn=256",
  source: "arXiv:2201.11903 without examples, as arXiv:2205.11916 does it; the words are Sleuth's",
  searches: false,
  protocol: (own) => (own.chat ? instructed(own) : thoughtThenAnswer(own)),
  context: "none",
  maxSearches: () => 1,
};
