/** @file Direct inference: the answer at once, from what the model knows. */
import type { Protocol } from "../../prompts/protocol.js";
import { answerBegun, type Method } from "./method.js";

const instructed = (own: Protocol): Protocol => ({
  ...own,
  prompt:
    "Answer the question. Give only the answer, in as few words as possible, and no other words.\nQuestion: {question}\nAnswer:",
  searches: false,
  invalidAction: null,
  untagged: { stops: [], otherwise: "malformed" },
});

export const direct: Method = {
  title: "direct",
  help: "the answer at once: no thought, no search",
  source: "arXiv:2503.09516, §4.2 names it and prints no prompt; the words here are Sleuth's",
  searches: false,
  protocol: (own) => (own.chat ? instructed(own) : answerBegun(own)),
  context: "none",
  maxSearches: () => 0,
};
