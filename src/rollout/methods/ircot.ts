/**
 * @file IRCoT (arXiv:2212.10509): search and thought take turns. The question is searched first; every thought is a query; a thought that names the
 * answer ends it, and after the last search the answer is begun for the policy.
 *
 * Departures: 1. No example in the prompt. 2. What a thought finds follows it; the original puts all passages found so far in front of the
 * question and reads them anew, each once. 3. A thought is what the policy writes in a line; the original takes the first sentence of more.
 * 4. The thoughts' own answer counts; the original has a second prompt read all passages. 5. `rollout.maxSearches` bounds the thoughts that are queries.
 */
import type { Protocol } from "../../prompts/protocol.js";
import { answerIs, thoughtThenAnswer, type Method } from "./method.js";

const instructions =
  'Answer the question, one thought at a time. Each thought is one sentence in a line of its own; more documents are found with it. When you know the answer, write "So the answer is:" and the answer in as few words as possible.';

const instructed = (own: Protocol): Protocol => ({
  ...own,
  prompt: `${instructions}\nQuestion: {question}\nThought:`,
  contextPrompt: `${instructions}\n{context}\nQuestion: {question}\nThought:`,
  searches: false,
  observation: "\n{passages}\nThought:",
  invalidAction: null,
  untagged: { stops: ["\n"], answerAfter: answerIs, otherwise: "query" },
  lastTurn: " So the answer is:",
});

/** Thoughts in tags. A model that writes a search of its own has it answered as well. */
const raised = (own: Protocol): Protocol => {
  const form = thoughtThenAnswer(own);
  return {
    ...form,
    searches: true,
    invalidAction: null,
    untagged: { stops: [own.think[1]], answerAfter: own.answer[0], otherwise: "query" },
  };
};

export const ircot: Method = {
  title: "IRCoT",
  help: "the question is searched, then every thought; at most maxSearches thoughts",
  source: "arXiv:2212.10509; departures in ircot.ts",
  searches: true,
  protocol: (own) => (own.chat ? instructed(own) : raised(own)),
  context: "question",
};
