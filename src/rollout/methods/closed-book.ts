/** @file Closed book: the model's own prompt, and the answer is begun for it at once. What it answers without a passage was known, or guessed. */
import { answerBegun, type Method } from "./method.js";

export const closedBook: Method = {
  title: "closed book",
  help: "the model's own prompt without any passage, the answer begun for it: a bound from below",
  source: "Sleuth",
  searches: false,
  protocol: (own) => answerBegun(own),
  context: "none",
  maxSearches: () => 0,
};
