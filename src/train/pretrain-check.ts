/** @file Measures a base model: does it copy names it has never seen, and what is it inclined to do? */
import type { Atlas } from "../data/atlas/atlas.js";
import type { Page } from "../data/atlas/pages.js";
import { knowThought, needThought } from "../data/atlas/phrases.js";
import type { AtlasQuestion } from "../data/atlas/questions.js";
import type { Policy } from "../policy/policy.js";
import { atlas as protocol } from "../prompts/protocol.js";
import { renderInformation, renderPrompt } from "./pretrain-text.js";

/** Means over questions, each in [0, 1], on an ideal searcher's transcripts: what comes next has a probability. */
export interface BaseCheck {
  /** The whole query, given that a search has begun: copied from the question or from a passage. */
  query: number;
  /** The whole answer, given that an answer has begun: copied from the last passage. */
  answer: number;
  /** Beginning with a thought that leads to a search. */
  firstSearch: number;
  /** The same after a search that was not enough: no training sequence shows it. */
  furtherSearch: number;
}

/** A stretch of a transcript whose probability is asked. */
interface Span {
  kind: keyof BaseCheck;
  from: number;
  to: number;
}

/** Reads the transcripts of ideal searchers for `questions` and looks up how likely the model finds each move. */
export async function checkBase(policy: Policy, world: Atlas, questions: readonly AtlasQuestion[]): Promise<BaseCheck> {
  const pages = new Map(world.passages.map((page) => [page.id, page]));
  const transcripts = questions.map((question) => idealTranscript(policy, pages, question));
  const logprobs = await policy.logprobs(transcripts.map(({ tokens }) => tokens));
  const sums: Record<keyof BaseCheck, [sum: number, count: number]> = {
    query: [0, 0],
    answer: [0, 0],
    firstSearch: [0, 0],
    furtherSearch: [0, 0],
  };
  transcripts.forEach(({ spans }, index) => {
    for (const { kind, from, to } of spans) {
      const probability = Math.exp(logprobs[index].slice(from, to).reduce((sum, value) => sum + value, 0));
      sums[kind][0] += probability;
      sums[kind][1] += 1;
    }
  });
  const mean = (kind: keyof BaseCheck) => sums[kind][0] / Math.max(1, sums[kind][1]);
  return {
    query: mean("query"),
    answer: mean("answer"),
    firstSearch: mean("firstSearch"),
    furtherSearch: mean("furtherSearch"),
  };
}

function idealTranscript(policy: Policy, pages: ReadonlyMap<string, Page>, question: AtlasQuestion) {
  const tokens = policy.tokenizer.encode(renderPrompt(question.question));
  const spans: Span[] = [];
  const write = (text: string, kind?: keyof BaseCheck) => {
    const ids = policy.tokenizer.encode(text);
    if (kind) spans.push({ kind, from: tokens.length, to: tokens.length + ids.length });
    tokens.push(...ids);
  };
  question.chain.forEach((step, index) => {
    const page = pages.get(step.pageId);
    if (!page) throw new Error(`internal: the world lacks the page ${step.pageId}`);
    write(protocol.think[0]);
    // "I need" decides for a search; "I know" for an answer.
    write(needThought(step.need).split(" ").slice(0, 3).join(" "), index === 0 ? "firstSearch" : "furtherSearch");
    write(
      needThought(step.need)
        .split(" ")
        .slice(3)
        .map((word) => ` ${word}`)
        .join("") +
        protocol.think[1] +
        protocol.search[0],
    );
    write(` ${step.query}${protocol.search[1]}`, "query");
    write(renderInformation(page));
  });
  write(protocol.think[0] + knowThought + protocol.think[1] + protocol.answer[0]);
  write(` ${question.answers[0]}${protocol.answer[1]}`, "answer");
  return { tokens, spans };
}
