/** @file R1 without search: reasoning in tags, then the answer. The paper's baseline is a model that was trained so. */
import { r1 } from "../../prompts/protocol.js";
import type { Method } from "./method.js";

export const r1Method: Method = {
  title: "R1",
  help: "reasoning and answer in tags, no search; a search ends the attempt",
  source: "arXiv:2503.09516, §4.2; the prompt of the released code's nq.py",
  searches: false,
  protocol: (own) => (own.chat ? r1 : own),
  context: "none",
  maxSearches: () => 0,
};
