/** @file A chat completion as it is written: whole, or in pieces as server-sent events. The whole is its pieces put together. */
import { apiErrorOf, errorBody } from "./api-error.js";

export type FinishReason = "stop" | "length" | "tool_calls" | "content_filter";

/** What a choice goes on with. Texts are added to those before. */
export interface Delta {
  content?: string;
  /** Thoughts and what else is no answer. */
  reasoning_content?: string;
  /** Calls, each with its place; clients need it in streams. */
  tool_calls?: ToolCallDelta[];
  annotations?: UrlCitation[];
  /** Fields of our own, documented where they are made. */
  [field: string]: unknown;
}

export interface ToolCallDelta {
  index: number;
  id: string;
  type: "function";
  /** `arguments` is JSON text: as an object it breaks clients. */
  function: { name: string; arguments: string };
}

/** A source. The indices are of characters of the content, from and up to. */
export interface UrlCitation {
  type: "url_citation";
  url_citation: { start_index: number; end_index: number; url: string; title: string };
}

/** One token of a choice's content. `logprob` in nats. */
export interface TokenLogprob {
  token: string;
  logprob: number;
  bytes: number[] | null;
  top_logprobs: { token: string; logprob: number; bytes: number[] | null }[];
}

/** A piece of a choice. The last one of each has `finish_reason`. */
export interface ChoiceDelta {
  /** Of the choice, from 0. */
  index: number;
  delta: Delta;
  logprobs?: { content: TokenLogprob[] };
  finish_reason?: FinishReason;
}

export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
  completion_tokens_details?: { reasoning_tokens: number };
}

/** An answer in pieces; what it returns is what all of it took. */
export type ChoiceDeltas = AsyncGenerator<ChoiceDelta, Usage, undefined>;

/** What all pieces of a completion have in common. */
export interface CompletionHead {
  id: string;
  /** Unix time. Seconds. */
  created: number;
  model: string;
}

interface Message extends Delta {
  role: "assistant";
}

/** A choice as far as it is known. */
interface Choice {
  index: number;
  message: Message;
  logprobs?: ChoiceDelta["logprobs"];
  finish_reason?: FinishReason;
}

/** The whole completion. @throws what the pieces throw */
export async function completionOf(head: CompletionHead, deltas: ChoiceDeltas): Promise<object> {
  const choices: Choice[] = [];
  for (;;) {
    const next = await deltas.next();
    if (next.done) return { ...head, object: "chat.completion", choices: choices.map(whole), usage: next.value };
    addTo((choices[next.value.index] ??= { index: next.value.index, message: { role: "assistant" } }), next.value);
  }
}

function addTo(choice: Choice, { delta, logprobs, finish_reason }: ChoiceDelta): void {
  const { content, reasoning_content, tool_calls, annotations, ...own } = delta;
  const { message } = choice;
  Object.assign(message, own);
  if (content !== undefined) message.content = (message.content ?? "") + content;
  if (reasoning_content !== undefined)
    message.reasoning_content = (message.reasoning_content ?? "") + reasoning_content;
  if (tool_calls !== undefined) message.tool_calls = [...(message.tool_calls ?? []), ...tool_calls];
  if (annotations !== undefined) message.annotations = [...(message.annotations ?? []), ...annotations];
  if (logprobs !== undefined) choice.logprobs = { content: [...(choice.logprobs?.content ?? []), ...logprobs.content] };
  choice.finish_reason = finish_reason ?? choice.finish_reason;
}

/** A message that only calls has null for content. */
function whole({ message, logprobs, finish_reason, ...choice }: Choice): object {
  const { content, tool_calls, ...others } = message;
  const calls = tool_calls?.map(({ id, type, function: call }) => ({ id, type, function: call }));
  return {
    ...choice,
    message: { ...others, content: content ?? (calls === undefined ? "" : null), ...(calls && { tool_calls: calls }) },
    logprobs: logprobs ?? null,
    finish_reason: finish_reason ?? "stop",
  };
}

/**
 * The completion as server-sent events. Each choice begins with its role. The usage stands in a chunk of its own where it was asked for, as OpenAI
 * writes it, and else beside the last `finish_reason`: clients that never ask read it there, and none meets a chunk without choices that it did
 * not ask for. A failure is an event that ends the stream.
 */
export async function* eventsOf(
  head: CompletionHead,
  deltas: ChoiceDeltas,
  { includeUsage = false }: { includeUsage?: boolean } = {},
): AsyncGenerator<string, void, undefined> {
  const chunk = (choices: readonly object[], usage?: Usage): string =>
    event({ ...head, object: "chat.completion.chunk", choices, ...(usage && { usage }) });
  const begun = new Set<number>();
  // The last piece waits for the usage.
  let last: object[] = [];
  try {
    for (;;) {
      const next = await deltas.next();
      if (next.done) {
        if (includeUsage) yield chunk(last) + chunk([], next.value);
        else yield chunk(last, next.value);
        break;
      }
      const { index, delta, logprobs, finish_reason } = next.value;
      const role = begun.has(index) ? {} : { role: "assistant", content: "" };
      begun.add(index);
      const written = [
        { index, delta: { ...role, ...delta }, logprobs: logprobs ?? null, finish_reason: finish_reason ?? null },
      ];
      if (last.length > 0) yield chunk(last);
      if (finish_reason === undefined) yield chunk(written);
      last = finish_reason === undefined ? [] : written;
    }
    yield "data: [DONE]\n\n";
  } catch (error) {
    yield event(errorBody(apiErrorOf(error)));
  } finally {
    // The client may have gone in the middle.
    await deltas.return({ prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 });
  }
}

function event(value: object): string {
  return `data: ${JSON.stringify(value)}\n\n`;
}
