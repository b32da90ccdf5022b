/** @file Measures a base model: does it copy names it has never seen, and what is it inclined to do? */
import type { Atlas } from "../data/atlas/atlas.js";
import type { Page } from "../data/atlas/pages.js";
import { knowThought, needThought } from "../data/atlas/phrases.js";
import type { AtlasQuestion } from "../data/atlas/questions.js";
import type { Policy } from "../contracts/policy.js";
import { atlas as protocol } from "../prompts/protocol.js";
import { renderObservation, renderPrompt } from "../prompts/render.js";

/** Means over questions, each in [0, 1], on the transcripts of an ideal searcher. */
export interface BaseCheck {
  /** Queries that the model, once it has begun to search, writes greedily as an ideal searcher would: names copied exactly. */
  query: number;
  /** Answers copied exactly from the last passage, once it has begun to answer. */
  answer: number;
  /** Probability of the same queries and answers when sampled at temperature 1. */
  queryProbability: number;
  answerProbability: number;
  /** Probability of beginning with a thought that leads to a search. */
  firstSearch: number;
  /** The same after a search that was not enough: no training sequence shows it. */
  furtherSearch: number;
}

/** A stretch of a transcript that the model is asked about. */
interface Span {
  kind: "query" | "answer" | "firstSearch" | "furtherSearch";
  from: number;
  to: number;
}

/** Reads the transcripts of ideal searchers for `questions` and asks the model for each of their moves. */
export async function checkBase(policy: Policy, world: Atlas, questions: readonly AtlasQuestion[]): Promise<BaseCheck> {
  const pages = new Map(world.passages.map((page) => [page.id, page]));
  const transcripts = questions.map((question) => idealTranscript(policy, pages, question));
  const logprobs = await policy.logprobs(transcripts.map(({ tokens }) => tokens));
  const probability: Record<Span["kind"], number[]> = { query: [], answer: [], firstSearch: [], furtherSearch: [] };
  const exact: Record<"query" | "answer", Promise<number>[]> = { query: [], answer: [] };
  transcripts.forEach(({ tokens, spans }, index) => {
    for (const { kind, from, to } of spans) {
      probability[kind].push(Math.exp(logprobs[index].slice(from, to).reduce((sum, value) => sum + value, 0)));
      if (kind === "query" || kind === "answer") exact[kind].push(writesExactly(policy, tokens, from, to));
    }
  });
  return {
    query: mean(await Promise.all(exact.query)),
    answer: mean(await Promise.all(exact.answer)),
    queryProbability: mean(probability.query),
    answerProbability: mean(probability.answer),
    firstSearch: mean(probability.firstSearch),
    furtherSearch: mean(probability.furtherSearch),
  };
}

/** 1 if the model, continuing greedily from `from`, writes the very tokens up to `to`. */
async function writesExactly(policy: Policy, tokens: readonly number[], from: number, to: number): Promise<number> {
  const { tokens_T } = await policy.sample(tokens.slice(0, from), { maxTokens: to - from, temperature: 0 });
  return Number(tokens_T.length === to - from && tokens_T.every((token, index) => token === tokens[from + index]));
}

function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;
}

function idealTranscript(policy: Policy, pages: ReadonlyMap<string, Page>, question: AtlasQuestion) {
  const tokens = policy.tokenizer.encode(renderPrompt(protocol, question));
  const spans: Span[] = [];
  const write = (text: string, kind?: Span["kind"]) => {
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
    write(renderObservation(protocol, [page]));
  });
  write(protocol.think[0] + knowThought + protocol.think[1] + protocol.answer[0]);
  write(` ${question.answers[0]}${protocol.answer[1]}`, "answer");
  return { tokens, spans };
}
