/**
 * @file The nouns of Sleuth, on one page.
 *
 * Axis suffixes: `_T` tokens of one sequence, `_G` trajectories of one group, `_B` rows of a batch,
 * `_D` data (training sequences). Log-probabilities are natural logarithms (nats), durations are
 * milliseconds and say so in their name.
 */

/** A question with every answer that counts as right. */
export interface Question {
  id: string;
  question: string;
  /** At least one; scored by the best match. */
  answers: string[];
  /** How many searches an ideal searcher needs, where it is known (the built-in world knows). */
  hops?: number;
  /** Name of the dataset and split: with the index and the draw it makes a group's identity. */
  source?: string;
  /** How the question came to be, where it was made from documents: "definition", "table", "written", … */
  kind?: string;
  /** The passages that it was made from, in the order in which they are needed. */
  evidence?: Evidence[];
}

/** A passage that holds an answer, or leads to it. */
export interface Evidence {
  /** Of the passage in its index. */
  id: string;
  /** Address of its document. */
  url?: string;
}

/** A passage as an index stores it, without a score. */
export interface StoredPassage {
  id: string;
  title: string;
  text: string;
  /** Address of the document, with `#fragment` of the section where one is known. */
  url?: string;
  /** The headings that it stands below, outermost first: "Usage › Options". */
  section?: string;
}

/** One retrieved passage. */
export interface Passage extends StoredPassage {
  /** Higher is better; only comparable within one result list. */
  score: number;
}

/** The author of a segment's tokens. Every training mask is derived from this alone. */
export type Role = "prompt" | "policy" | "environment";

/** A run of consecutive tokens with one author. */
export interface Segment {
  role: Role;
  tokens_T: number[];
  /** For policy segments: log-probability of each token under the distribution it was sampled from. */
  logprobs_T?: number[];
}

/** Why a trajectory ended. */
export type FinishReason = "answered" | "out-of-turns" | "out-of-tokens" | "malformed" | "search-failed" | "cancelled";

/** One executed search and what became of it. */
export interface SearchCall {
  query: string;
  passages: Passage[];
  /** Passages that did not fit the observation budget: left out whole, never cut. Those that took their places are in `passages`. */
  omittedPassages: number;
  /** Passages were left out because the row was nearly full: its limit, and not the observation budget, was the smaller one. */
  rowWasFull?: true;
  /** Places in the passages where protocol tags or control characters were sanitized. */
  sanitized: number;
  /** Milliseconds between asking and having the result. */
  waitedMs: number;
  /** Set when the engine failed: the observation is then empty and marked. */
  error?: string;
}

/** One attempt at one question: what everybody wrote, in order, and how it ended. */
export interface Trajectory {
  questionId: string;
  segments: Segment[];
  searches: SearchCall[];
  /** What the policy put between its answer tags; null when it never answered. */
  answer: string | null;
  finishReason: FinishReason;
  /**
   * The policy stands behind a server that does not tell which tokens it sampled, or at which log-probabilities: the policy's segments are a reading of
   * its texts and have no `logprobs_T`. It can be scored, and learned from as a transcript, but not by reinforcement.
   */
  textOnly?: true;
  /** Turns that were cut at the most tokens of a turn, before the policy had written a search or an answer; absent where there was none. */
  cutTurns?: number;
  /** Text of each segment, for people and for rewards; never re-tokenized into training data. */
  texts: string[];
  /** Milliseconds spent waiting for the policy and for the search engine. */
  timing: { policyMs: number; searchMs: number };
}

/** The attempts at one question together with their rewards: the unit over which GRPO compares. */
export interface Group {
  question: Question;
  trajectories_G: Trajectory[];
  rewards_G: number[];
}

/**
 * One training sequence. All arrays are aligned with `tokens_T`: index t speaks of token t as predicted
 * from the tokens before it, so index 0 never carries loss.
 */
export interface Datum {
  tokens_T: number[];
  /** 1 where the policy wrote (sampled) the token, else 0. Only these positions carry loss. */
  sampledMask_T: Uint8Array;
  /** Weight of each token in cross-entropy: loss = −Σ weight·logprob. */
  weights_T?: Float32Array;
  /** Log-probability at sampling time; needed by every ratio-based loss. */
  logprobs_T?: Float32Array;
  /** Advantage of each token, already multiplied by its share of the aggregate (for example 1/tokens). */
  advantages_T?: Float32Array;
  /**
   * Entropy bonus: the loss also has −Σ weight·H over the tokens that carry loss, with H the entropy (nats) of the distribution that the
   * token was predicted from. Needs `capabilities.entropy`.
   */
  entropyWeights_T?: Float32Array;
}

/** One message of a chat. */
export interface ChatMessage {
  role: "system" | "user" | "assistant";
  content: string;
}

/** A tool that the policy may call. */
export interface ToolDefinition {
  name: string;
  description?: string;
  /** JSON schema of an object. Default: one without properties. */
  parameters?: Readonly<Record<string, unknown>>;
}

/** One call of a tool, as a message holds it. */
export interface ToolCall {
  id: string;
  name: string;
  /** JSON text of an object. */
  arguments: string;
}

/** One message of a conversation with tools. */
export type ConversationMessage =
  | { role: "system" | "user"; content: string }
  | {
      role: "assistant";
      /** Null where it says nothing, and calls. */
      content: string | null;
      /** What it thought before, where that is told. */
      reasoning?: string;
      toolCalls?: readonly ToolCall[];
    }
  | { role: "tool"; content: string; toolCallId: string; name?: string };

/** What a chat template is told besides the conversation, such as `{ enable_thinking: false }`. */
export type TemplateVariables = Readonly<Record<string, string | number | boolean | null>>;

/** How an instruct model was taught to see a conversation. */
export interface ChatTemplate {
  /** The Jinja source, as the model's makers wrote it. */
  readonly source: string;
  /**
   * The conversation as text, special tokens spelled out. With `addGenerationPrompt` it ends where the assistant begins to write.
   * @param options.tools what the assistant may call, in the form of OpenAI's interface
   * @throws UserError when the template refuses the messages, does not read a variable, or takes more than a template may
   */
  render(
    messages: readonly ConversationMessage[],
    options: { addGenerationPrompt: boolean; variables?: TemplateVariables; tools?: readonly object[] },
  ): string;
}

/** Text ↔ token ids. */
export interface Tokenizer {
  readonly vocabSize: number;
  readonly eosIds: readonly number[];
  readonly padId: number;
  /** Strings that encode to one special id each (tags, end of text): never allowed inside retrieved text. */
  readonly specialTokens: ReadonlyMap<string, number>;
  /** What the model was taught to see before a text (its BOS token); empty or absent where there is no such thing. `encode` does not add it. */
  readonly startIds?: readonly number[];
  /** Absent for base models without one. */
  readonly chatTemplate?: ChatTemplate;
  /** Encodes text; special tokens written in the text are recognised; nothing is added. */
  encode(text: string): number[];
  /** Decodes ids, special tokens included. */
  decode(tokens: readonly number[]): string;
}
