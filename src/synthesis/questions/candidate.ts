/** @file A question that was proposed, by a rule or a language model, and is not yet known to be any good. */
import type { Evidence, StoredPassage } from "../../types.js";

export interface Candidate {
  question: string;
  /** Every form in which the answer is right; the first is the one that stands in the passage. */
  answers: string[];
  /** How it came to be: "definition", "default", "table", …; "written" by a language model. */
  kind: string;
  hops: number;
  /** The passages that it was made from, in the order in which they are needed. */
  evidence: Evidence[];
  /** Of two passages: the name that leads from the first to the second. The question must not hold it. */
  bridge?: string;
  /** The words of the last passage that hold the answer: a passage that search finds is evidence when they stand in it. */
  quote: string;
}

/** The document of a passage: its id without the number behind `#`. */
export function documentOf(passageId: string): string {
  return passageId.replace(/#[^#/]*$/, "");
}

/** A passage as evidence: without its text. */
export function evidenceOf({ id, url }: Pick<StoredPassage, "id" | "url">): Evidence {
  return url === undefined ? { id } : { id, url };
}
