/**
 * @file Protocols as data: the tags, templates and stop strings by which a policy and its environment talk.
 * A recipe chooses one; nothing else in the code knows a tag.
 */
import type { Tokenizer } from "../types.js";

/** Opening and closing tag. */
export type TagPair = readonly [open: string, close: string];

export interface Protocol {
  name: string;
  /** Prompt template with `{question}`. */
  prompt: string;
  /**
   * Prompt template with `{question}` and `{context}`, for passages that are found before the policy writes (`rollout.context`). Absent: they
   * follow the prompt as an observation.
   */
  contextPrompt?: string;
  /** Whether the policy can search. False: the prompt knows of no search, and search tags are words like any other. */
  searches: boolean;
  /** Whether the prompt is an instruction: a model with a chat template then gets it as a user's message (`rollout.chat` auto). */
  chat: boolean;
  think: TagPair;
  search: TagPair;
  information: TagPair;
  answer: TagPair;
  /** Template of one passage with `{index}` (from 1), `{title}` and `{text}`. */
  passage: string;
  /** Between two passages. */
  passageSeparator: string;
  /** Template of what the environment writes after a search, with `{passages}`. */
  observation: string;
  /** Stands in for the passages when the search found nothing. */
  noPassages: string;
  /** Stands in for the passages when the search failed. */
  failedSearch: string;
  /** What the environment writes after a turn that is neither a search nor an answer, possibly nothing; null ends the trajectory as malformed. */
  invalidAction: string | null;
  /** How a turn is read that has no tags, for models that were never taught any. Absent: such a turn is malformed. */
  untagged?: UntaggedTurns;
  /** What the environment writes before the last turn, so that the policy answers: an opening tag, or words. The turn is read as if the policy had begun with it. Absent: nothing. */
  lastTurn?: string;
}

/** How turns without tags are read. A thought, from `think` to its end, is no part of them. */
export interface UntaggedTurns {
  /** Strings that end a turn, beside the tags. */
  stops: readonly string[];
  /** What an answer stands behind, whatever the case of letters, up to the end of its line. Absent: the first line with words is the answer. */
  answerAfter?: string;
  /** What a turn without an answer is: a query with all its words, those of its thought where there are no others, or malformed. */
  otherwise: "query" | "malformed";
}

/** Search-R1 (arXiv:2503.09516, table 1 and the released code's templates, typos included: they are part of the trained prompt). */
export const searchR1: Protocol = {
  name: "search-r1",
  prompt:
    "Answer the given question. You must conduct reasoning inside <think> and </think> first every time you get new information. After reasoning, if you find you lack some knowledge, you can call a search engine by <search> query </search> and it will return the top searched results between <information> and </information>. You can search as many times as your want. If you find no further external knowledge needed, you can directly provide the answer inside <answer> and </answer>, without detailed illustrations. For example, <answer> Beijing </answer>. Question: {question}\n",
  searches: true,
  chat: true,
  think: ["<think>", "</think>"],
  search: ["<search>", "</search>"],
  information: ["<information>", "</information>"],
  answer: ["<answer>", "</answer>"],
  passage: "Doc {index}(Title: {title}) {text}\n",
  passageSeparator: "",
  observation: "\n\n<information>{passages}</information>\n\n",
  noPassages: "",
  failedSearch: "",
  invalidAction:
    "\nMy previous action is invalid. If I want to search, I should put the query between <search> and </search>. If I want to give the final answer, I should put the answer between <answer> and </answer>. Let me try again.\n",
};

/**
 * Search-R1's tags, observations and second chance behind an instruction of half the length and without an example answer. For models of a
 * few hundred million parameters, which learn the protocol from a warm-up rather than from the instruction, and whose prompts cost more
 * than their turns.
 */
export const searchR1Short: Protocol = {
  ...searchR1,
  name: "search-r1-short",
  prompt:
    "Answer the question. Think inside <think> and </think>. To look something up, write <search> query </search> and read the results between <information> and </information>. When you know the answer, write <answer> answer </answer>. Question: {question}\n",
};

/**
 * Without search: the paper's R1 baseline, and its RAG baseline where passages are found first (the released code's nq.py and nq_rag.py,
 * typos and the stray space included). One turn, no second chance. The tags of searches are kept from questions and passages all the same.
 */
export const r1: Protocol = {
  ...searchR1,
  name: "r1",
  prompt:
    "Answer the given question. You should first have a reasoning process in mind and then provides the answer. Show your reasoning in <think> </think> tags and return the final answer in <answer> </answer> tags, for example <answer> Beijing </answer>. Question: {question}\n",
  contextPrompt:
    "Answer the given question with some potentially useful context. You should analyze the question carefully, evaluate the given context (which may or may not be useful), and then generate an accurate and well-reasoned response. You should first have a reasoning process in mind and then provides the answer. Show your reasoning in <think> </think> tags and return the final answer in <answer> </answer> tags, for example <answer> Beijing </answer>. Question: {question} Context: {context} \n",
  searches: false,
  invalidAction: null,
};

/** The built-in world's: the same tags (one special token each), a bare question, no instructions to read. */
export const atlas: Protocol = {
  name: "atlas",
  prompt: "Question: {question}\n",
  searches: true,
  chat: false,
  think: ["<think>", "</think>"],
  search: ["<search>", "</search>"],
  information: ["<information>", "</information>"],
  answer: ["<answer>", "</answer>"],
  passage: " ({title}) {text}",
  passageSeparator: "",
  observation: "<information>{passages}</information>\n",
  noPassages: " Nothing found.",
  failedSearch: " Search failed.",
  invalidAction: null,
};

export const protocols = {
  "search-r1": searchR1,
  "search-r1-short": searchR1Short,
  r1,
  atlas,
} as const satisfies Readonly<Record<string, Protocol>>;
export type ProtocolName = keyof typeof protocols;
/** For settings, which list the names. */
export const protocolNames = Object.keys(protocols) as ProtocolName[];

/** The protocol of a name that is settled. */
export function protocolNamed(name: ProtocolName | "auto"): Protocol {
  if (name === "auto")
    throw new Error("internal: rollout.protocol is auto, which has to be settled for the model first");
  return protocols[name];
}

/**
 * What `auto` means for a model. The bare question of `atlas` is for models that were raised on its tags: they have them as tokens of their
 * own. Any other has to be told what to do: to search, or to answer without.
 * @param canSearch whether a search of the policy would be answered
 */
export function protocolFor(
  tokenizer: Pick<Tokenizer, "specialTokens" | "chatTemplate">,
  { canSearch = true }: { canSearch?: boolean } = {},
): ProtocolName {
  const tags = [atlas.think, atlas.search, atlas.information, atlas.answer].flat();
  const isRaised = tokenizer.chatTemplate === undefined && tags.every((tag) => tokenizer.specialTokens.has(tag));
  if (isRaised) return "atlas";
  return canSearch ? "search-r1" : "r1";
}
