/**
 * @file An agent that searches, as a model of OpenAI's interface. The answer is the content; what the agent thought, asked and found is reasoning. The
 * passages that it was shown are `url_citation` annotations of the answer where they have an address, and all of them stand in `message.sleuth`.
 *
 * The last message is the question. Those before it are not read: the agent was trained on single questions, and takes the budgets and the
 * instruction of its run. So `max_tokens` is passed over, and what would change the answer otherwise (tools, stops, several choices,
 * log-probabilities) is refused.
 */
import { ApiError } from "../openai/api-error.js";
import type { ChoiceDelta, ChoiceDeltas, Delta, FinishReason, UrlCitation, Usage } from "../openai/chat-reply.js";
import type { ChatModel } from "../openai/chat-service.js";
import { refusal, type ChatRequest } from "../openai/chat-request.js";
import type { FinishReason as AttemptEnd, Passage, SearchCall } from "../types.js";
import type { Agent, AgentEvent, AnswerTokens, Citation } from "./agent.js";

/** What is asked of an agent here. */
export type ServedAgent = Pick<Agent, "stream">;

/** What `message.sleuth` holds. */
interface OwnField {
  /** Why the attempt ended; "answered" where there is an answer. */
  finish_reason: AttemptEnd;
  searches: { query: string; passages: Passage[]; error?: string }[];
}

/** Longest question that is tokenized to see whether it fits. Characters. */
const maxQuestionLength = 64 * 1024;

/** The agent as a model. It stays open: it belongs to the caller. */
export function agentModel(agent: ServedAgent, details?: Readonly<Record<string, unknown>>): ChatModel {
  return { details, chat: (request, signal) => attempt(agent, request, signal) };
}

async function* attempt(agent: ServedAgent, request: ChatRequest, signal: AbortSignal): ChoiceDeltas {
  const question = questionOf(request);
  const { temperature = 0, topP, seed } = request;
  let answer = "";
  for await (const event of agent.stream(question, { signal, temperature, topP, seed })) {
    if (event.kind === "end") {
      yield endOf(event, answer);
      return usageOf(event.tokens);
    }
    if (event.kind === "answer") answer += event.text;
    yield { index: 0, delta: deltaOf(event) };
  }
  throw new Error("internal: the agent ended without a last event");
}

/** @throws ApiError 400 for what an agent cannot do */
function questionOf({ messages, tools, toolChoice, stop, n, logprobs }: ChatRequest): string {
  if (tools.length > 0 && toolChoice !== "none")
    throw refusal("tools", "cannot be called here: this model searches by itself, and is asked without tools");
  if (n > 1) throw refusal("n", "must be 1 here: send several requests, which are answered together");
  if (stop.length > 0) throw refusal("stop", "cannot be set here: the agent ends with its answer");
  if (logprobs) throw refusal("logprobs", "are not told here: an answer is written over several turns");
  const last = messages.at(-1);
  const field = `messages[${messages.length - 1}]`;
  if (last?.role !== "user") throw refusal(field, "must be the user's: the last message is the question");
  const question = last.content.trim();
  if (question === "") throw refusal(`${field}.content`, "is empty, and it is the question");
  if (question.length > maxQuestionLength)
    throw refusal(
      `${field}.content`,
      `has ${question.length} characters, and a question may have ${maxQuestionLength}`,
      "context_length_exceeded",
    );
  return question;
}

function deltaOf(event: Exclude<AgentEvent, { kind: "end" }>): Delta {
  switch (event.kind) {
    case "answer":
      return { content: event.text };
    case "thought":
      return { reasoning_content: `${event.text}\n` };
    case "search":
      return { reasoning_content: `Search: ${event.query}\n` };
    case "passages":
      return { reasoning_content: foundText(event.search) };
  }
}

function foundText({ passages, error }: SearchCall): string {
  if (error !== undefined) return "The search failed.\n";
  if (passages.length === 0) return "Nothing was found.\n";
  return passages.map(({ title }, rank) => `${rank + 1}. ${title}\n`).join("");
}

function endOf(
  { finishReason, searches, citations }: Extract<AgentEvent, { kind: "end" }>,
  answer: string,
): ChoiceDelta {
  if (finishReason === "cancelled") throw new ApiError(503, "The attempt took too long.", { retryAfterSeconds: 1 });
  const annotations = annotationsOf(citations, answer.length);
  const sleuth: OwnField = {
    finish_reason: finishReason,
    searches: searches.map(({ query, passages, error }) => ({
      query,
      passages,
      ...(error !== undefined && { error }),
    })),
  };
  const finish_reason: FinishReason = finishReason === "out-of-tokens" ? "length" : "stop";
  return { index: 0, delta: { ...(annotations.length > 0 && { annotations }), sleuth }, finish_reason };
}

/** Each address once, over the whole answer: which words an answer owes to which passage is not known. */
function annotationsOf(citations: readonly Citation[], end_index: number): UrlCitation[] {
  const titles = new Map<string, string>();
  for (const { url, title } of citations) if (url !== undefined && !titles.has(url)) titles.set(url, title);
  return [...titles].map(([url, title]) => ({
    type: "url_citation",
    url_citation: { start_index: 0, end_index, url, title },
  }));
}

function usageOf({ read, written, answer }: AnswerTokens): Usage {
  return {
    prompt_tokens: read,
    completion_tokens: written,
    total_tokens: read + written,
    completion_tokens_details: { reasoning_tokens: written - answer },
  };
}
