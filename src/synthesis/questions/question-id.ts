/** @file The id of a made question: the same question with the same answer has the same one, in every call. */
import { createHash } from "node:crypto";
import type { Candidate } from "./candidate.js";

export function idOf({ question, answers }: Pick<Candidate, "question" | "answers">): string {
  return createHash("sha256")
    .update(JSON.stringify([question, answers[0]]))
    .digest("hex")
    .slice(0, 16);
}
