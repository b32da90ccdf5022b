/** @file RAG: one search with the question itself, then the answer from what was found. */
import type { Protocol } from "../../prompts/protocol.js";
import { thoughtThenAnswer, type Method } from "./method.js";

const instructed = (own: Protocol): Protocol => ({
  ...own,
  prompt: "Answer the question.\nQuestion: {question}\nAnswer:",
  contextPrompt:
    "Answer the question with the help of these documents. Give only the answer, in as few words as possible, and no other words.\n{context}\nQuestion: {question}\nAnswer:",
  searches: false,
  invalidAction: null,
  untagged: { stops: [], otherwise: "malformed" },
});

export const rag: Method = {
  title: "RAG",
  help: "one search with the question itself, then the answer",
  source: "arXiv:2005.11401 as arXiv:2503.09516, §4.2 uses it; the words are Sleuth's",
  searches: true,
  protocol: (own) => (own.chat ? instructed(own) : thoughtThenAnswer(own)),
  context: "question",
  maxSearches: (own) => (own.chat ? 0 : 1),
};
