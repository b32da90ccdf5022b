/** @file What a server's reply says: the text, how it ended, and what servers tell beyond that, each in a form of its own. */
import { isCount, type ReplyUsage } from "../../http/openai-server.js";
import { ServiceFailure } from "../../http/request.js";
import type { StopReason } from "../../contracts/policy.js";

export interface Reply {
  /** As the server gave it: mostly without the stop string at which it stopped. */
  text: string;
  /** Of a reasoning model, where the server tells its thought apart. */
  thought: string;
  stopReason: StopReason;
  /** The stop string at which it stopped; null: at none; undefined: the server does not say. */
  stoppedAt?: string | null;
  /** The ids that were sampled. */
  ids?: number[];
  /** Their log-probabilities. */
  logprobs?: number[];
  usage?: ReplyUsage;
  /** Tokens of the prompt that the server had computed before. */
  cachedTokens: number;
}

interface Choice {
  text?: unknown;
  message?: { content?: unknown; reasoning_content?: unknown; reasoning?: unknown } | null;
  finish_reason?: unknown;
  /** vLLM: the stop string or stop token; null at an end of text. */
  stop_reason?: unknown;
  /** SGLang: the same. */
  matched_stop?: unknown;
  /** vLLM */
  token_ids?: unknown;
  logprobs?: {
    /** OpenAI's completions, and vLLM's. */
    token_logprobs?: unknown;
    tokens?: unknown;
    /** llama.cpp's completions, and chats. */
    content?: unknown;
  } | null;
}

interface Body {
  choices?: unknown;
  usage?: (ReplyUsage & { prompt_tokens_details?: { cached_tokens?: unknown } | null }) | null;
}

/**
 * Reads a reply of `completions` or `chat/completions`.
 * @param excerpt the beginning of a text as messages show it
 * @throws ServiceFailure for what is no completion; one that passes where the server says so itself
 */
export function readReply(answer: string, excerpt: (text: string) => string): Reply {
  const body = parse(answer);
  const choice = (Array.isArray(body?.choices) ? body.choices[0] : undefined) as Choice | null | undefined;
  const text =
    choice?.message === undefined || choice.message === null ? choice?.text : contentOf(choice.message.content);
  if (body === null || choice === undefined || choice === null || typeof text !== "string") {
    // Gateways report failures of the server behind them in replies of status 200.
    const isPassing = body !== null && "error" in body;
    const why = `the reply is not what a completion looks like: ${excerpt(answer)}`;
    throw new ServiceFailure(why, { status: 200, isRetryable: isPassing, retryAfterMs: isPassing ? 0 : undefined });
  }
  if (choice.finish_reason === "abort" || choice.finish_reason === "error")
    throw new ServiceFailure("the server gave the reply up", { status: 200, isRetryable: true, retryAfterMs: 0 });
  const cached = body.usage?.prompt_tokens_details?.cached_tokens;
  return {
    text,
    thought: thoughtOf(choice.message),
    stopReason: choice.finish_reason === "length" ? "length" : "stop",
    stoppedAt: stoppedAt(choice),
    ...tokensOf(choice),
    usage: body.usage ?? undefined,
    cachedTokens: isCount(cached) ? cached : 0,
  };
}

function parse(text: string): Body | null {
  try {
    const body = JSON.parse(text) as unknown;
    return typeof body === "object" ? body : null;
  } catch {
    return null;
  }
}

/** A text, or parts with text; null where a model has thought or called something and said nothing. */
function contentOf(content: unknown): unknown {
  if (content === null || content === undefined) return "";
  if (!Array.isArray(content)) return content;
  return content.map((part: { text?: unknown } | null) => (typeof part?.text === "string" ? part.text : "")).join("");
}

function thoughtOf(message: Choice["message"]): string {
  const thought = message?.reasoning_content ?? message?.reasoning;
  return typeof thought === "string" ? thought : "";
}

function stoppedAt(choice: Choice): string | null | undefined {
  const key = (["stop_reason", "matched_stop"] as const).find((name) => name in choice);
  if (key === undefined) return undefined;
  const told = choice[key];
  // The number is that of a token that ends a text.
  return typeof told === "string" ? told : null;
}

/** Ids and log-probabilities, where there is one of each for every token. */
function tokensOf({ token_ids, logprobs }: Choice): Pick<Reply, "ids" | "logprobs"> {
  const content = Array.isArray(logprobs?.content)
    ? (logprobs.content as ({ id?: unknown; logprob?: unknown } | null)[])
    : [];
  const names = Array.isArray(logprobs?.tokens) ? (logprobs.tokens as unknown[]) : [];
  const ids = [
    token_ids,
    // vLLM before it had token_ids: "token_id:42".
    names.map((name) => (typeof name === "string" && /^token_id:\d+$/.test(name) ? Number(name.slice(9)) : undefined)),
    content.map((one) => one?.id),
  ].find((list): list is number[] => Array.isArray(list) && list.length > 0 && list.every(isCount));
  const values = [logprobs?.token_logprobs, content.map((one) => one?.logprob)].find(
    (list): list is number[] =>
      Array.isArray(list) && list.length > 0 && list.every((value) => typeof value === "number"),
  );
  if (ids === undefined) return {};
  return { ids, ...(values?.length === ids.length && { logprobs: values }) };
}
