/**
 * @file A method: a way to answer questions over the one rollout, chosen by `rollout.method`. It is data: a protocol, whether passages come first, and how
 * many turns there are. Search-R1 is one of them, and what it is compared with are the others.
 */
import type { Protocol } from "../../prompts/protocol.js";

export interface Method {
  /** In tables. */
  title: string;
  /** One line for help pages. */
  help: string;
  /** Where it comes from, and what is done otherwise here. */
  source: string;
  /** Whether anything is searched for. */
  searches: boolean;
  /** Prompts and tags, made of those that suit the model: `own.chat` says whether it reads instructions, or was raised on the tags alone. */
  protocol: (own: Protocol) => Protocol;
  /** In place of `rollout.context`, where the method decides it. */
  context?: "none" | "question";
  /** In place of `rollout.maxSearches`, where the method decides it: turns before the last one. */
  maxSearches?: (own: Protocol) => number;
  /** Every search finds passages that hold an answer, whatever is asked: a bound. */
  oracle?: true;
}

/** What an answer without tags stands behind. */
export const answerIs = "answer is";

/** The answer is begun for the policy, so it needs no closing tag, and nothing else is read. */
export function answerBegun(own: Protocol, lastTurn = own.answer[0]): Protocol {
  const untagged = { stops: [], answerAfter: own.answer[0], otherwise: "malformed" } as const;
  return { ...own, searches: false, lastTurn, untagged };
}

/** Of models that were raised on the tags: one turn for a thought, then the answer is begun for the policy. Two turns. */
export function thoughtThenAnswer(own: Protocol): Protocol {
  const begun = answerBegun(own, `\n${own.answer[0]}`);
  const untagged = { stops: [own.think[1]], answerAfter: own.answer[0], otherwise: "malformed" } as const;
  return { ...begun, invalidAction: "", untagged };
}
