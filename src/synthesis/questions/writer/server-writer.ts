/** @file A language model behind `/v1/chat/completions` as a writer. */
import { UserError } from "../../../errors.js";
import { ChatCompletions, type ChatCompletionsSettings } from "../../../http/chat-completions.js";
import type { HttpTools, ServiceFailure } from "../../../http/request.js";
import type { Writer } from "./writer.js";

/** The environment variable of the key. */
export const writerKeyVariable = "SLEUTH_WRITER_API_KEY";

/**
 * Opens the client; nothing is asked yet.
 * @param settings.body fields of each request; they win over temperature and number of tokens, and null leaves one out
 * @throws UserError for an address or a key that does not do
 */
export function serverWriter(
  settings: ChatCompletionsSettings & { concurrency: number },
  tools: Partial<HttpTools> = {},
): Writer {
  const { body = {}, ...rest } = settings;
  const client = new ChatCompletions(
    rest,
    {
      title: "Language model",
      urlName: "--model-url",
      keyVariable: writerKeyVariable,
      advice: adviceFor,
      error: (message, { cause }) => new UserError(message, { cause }),
    },
    tools,
  );
  return {
    name: `${settings.model} at ${client.url}`,
    concurrency: settings.concurrency,
    reply: (messages, { maxTokens, temperature, signal }) =>
      client.complete(messages, String, { body: present({ max_tokens: maxTokens, temperature, ...body }), signal }),
    usage: () => client.usage(),
    close: () => Promise.resolve(client.close()),
  };
}

function present(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null));
}

function adviceFor({ status, isRetryable }: ServiceFailure): string {
  if (status === 401 || status === 403) return `Put a key that may use the model into ${writerKeyVariable}.`;
  if (status === 404 || status === 405) return "See to --model-url and --model: the address or the model is not there.";
  if (status === 429) return "Set --per-minute to what the server allows; the same command goes on.";
  if (status === 200) return "See to --model-url: is it a server of chat completions?";
  if (status !== undefined && status < 500)
    return "The server does not take the request: see to --model and --model-body (some models want max_completion_tokens, or no temperature).";
  return isRetryable ? "See to the server, or lower --at-once; the same command goes on." : "";
}
