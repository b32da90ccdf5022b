/**
 * @file A policy behind a server with OpenAI's chat completions: the prompt is the user's message, a turn the assistant's, and what the environment says the user's
 * next one. Servers leave out the string at which they stop; it is put back, since the rollout reads the closing tag. It samples and cannot train.
 */
import type { Policy } from "../../contracts/policy.js";
import { UserError } from "../../errors.js";
import { ChatCompletions } from "../../http/chat-completions.js";
import { scriptedPolicy } from "../../policy/scripted.js";
import type { Protocol, TagPair } from "../../prompts/protocol.js";
import type { ChatMessage, Tokenizer } from "../../types.js";

/** The environment variable that a server's key is read from. */
export const serverKeyVariable = "SLEUTH_SERVER_API_KEY";

/** The client of a server that serves a policy. @throws UserError for an address that cannot be used */
export function openServer(server: { url: string; model: string; key?: string }): ChatCompletions {
  return new ChatCompletions(server, {
    title: "Server",
    urlName: "--server",
    keyVariable: serverKeyVariable,
    advice: () =>
      `See to the server, then start the same command again: it goes on. A key is read from ${serverKeyVariable}.`,
    error: (message, { cause }) => new UserError(message, { cause }),
  });
}

export interface ServedOptions {
  client: Pick<ChatCompletions, "complete">;
  protocol: Protocol;
  /** Counts tokens and carries texts: a served model's own is not needed. Has to decode what it has encoded to the same text. */
  tokenizer: Tokenizer;
  contextLength: number;
}

/**
 * A policy for one attempt: it remembers the conversation.
 * @returns a policy whose `sample` fails as the client does
 */
export function servedPolicy({ client, protocol, tokenizer, contextLength }: ServedOptions): Policy {
  const messages: ChatMessage[] = [];
  let said = 0;
  const scripted = scriptedPolicy({ tokenizer, script: [], contextLength });
  return {
    ...scripted,
    capabilities: { ...scripted.capabilities, engine: "served" },
    async sample(prefix_T, { maxTokens, stop, temperature, topP, seed, signal }) {
      messages.push({ role: "user", content: tokenizer.decode(prefix_T.slice(said)).trim() });
      const body = {
        ...{
          max_tokens: maxTokens,
          stop: stop?.strings,
          temperature,
          seed: seed === undefined ? undefined : seed >>> 1,
        },
        top_p: topP,
      };
      const reply = await client.complete(messages, (text) => text, { body, signal });
      const text = withClosingTag(reply.trim(), protocol);
      messages.push({ role: "assistant", content: text });
      const written = tokenizer.encode(text === "" ? "\n" : text);
      const tokens_T = written.slice(0, maxTokens);
      said = prefix_T.length + tokens_T.length;
      return {
        tokens_T,
        logprobs_T: tokens_T.map(() => 0),
        stopReason: written.length > maxTokens ? "length" : "stop",
      };
    },
  };
}

/** A turn up to its first closing tag of a search or an answer, which is put back where the server has left it out. */
export function withClosingTag(text: string, { search, answer }: Pick<Protocol, "search" | "answer">): string {
  const ends = [search, answer].flatMap(([, close]) =>
    text.includes(close) ? [text.indexOf(close) + close.length] : [],
  );
  if (ends.length > 0) return text.slice(0, Math.min(...ends));
  const openings = [search, answer].filter(([open]) => text.includes(open));
  const [first]: (TagPair | undefined)[] = openings.sort((a, b) => text.indexOf(a[0]) - text.indexOf(b[0]));
  return first === undefined ? text : `${text} ${first[1]}`.replace(/\s+(?=<\/\w+>$)/, " ");
}
