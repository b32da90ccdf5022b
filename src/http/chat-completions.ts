/** @file Conversations with one model of a server with OpenAI's `/v1/chat/completions`: what judges and writers of questions ask through. */
import type { ChatMessage } from "../types.js";
import {
  OpenAiServer,
  serverAddress,
  type ChatUsage,
  type OpenAiOwner,
  type OpenAiSettings,
  type ReplyUsage,
} from "./openai-server.js";
import { ServiceFailure, type HttpTools } from "./request.js";

export type { ChatUsage } from "./openai-server.js";
export type ChatCompletionsOwner = OpenAiOwner;

/** What a client may set; what is left out has a default. */
export interface ChatCompletionsSettings extends OpenAiSettings {
  /** The server: `http://127.0.0.1:11434/v1`, or the whole address of its chat completions. */
  url: string;
  /** As the server calls it. */
  model: string;
  /** Further fields of each request, such as `temperature` and `max_tokens`. */
  body?: Readonly<Record<string, unknown>>;
}

/** One model of one server. */
export class ChatCompletions {
  /** The address without its query, for messages. */
  readonly url: string;
  readonly #address: URL;
  readonly #model: string;
  readonly #body: Readonly<Record<string, unknown>>;
  readonly #server: OpenAiServer;

  /** @throws UserError for an invalid address, one with a key in it, and a key that no header can hold */
  constructor(settings: ChatCompletionsSettings, owner: ChatCompletionsOwner, given: Partial<HttpTools> = {}) {
    this.#address = completionsUrl(settings.url, owner);
    this.#server = new OpenAiServer(this.#address, settings, owner, given);
    this.url = this.#server.url;
    this.#model = settings.model;
    this.#body = settings.body ?? {};
  }

  /**
   * What `read` makes of the reply to a conversation. A request waits until fewer than `concurrency` are under way.
   * @param read throws `ServiceFailure` for a reply that cannot be used; with `retryAfterMs` the same is asked again
   * @param options.body further fields of this request
   * @throws the owner's error; the signal's reason when it aborts
   */
  complete<T>(
    messages: readonly ChatMessage[],
    read: (reply: string) => T,
    { body = {}, signal }: { body?: Readonly<Record<string, unknown>>; signal?: AbortSignal } = {},
  ): Promise<T> {
    const fields = { ...this.#body, ...body, model: this.#model, messages, stream: false };
    return this.#server.ask(this.#address, fields, (text) => read(this.#contentOf(text)), signal);
  }

  /** What was used since the client was made. */
  usage(): Readonly<ChatUsage> {
    return this.#server.usage();
  }

  /** The beginning of a reply, quoted and without secrets. */
  excerpt(text: string): string {
    return this.#server.excerpt(text);
  }

  /** Ends requests under way; they and later ones fail with the owner's error. */
  close(): void {
    this.#server.close();
  }

  /** The text of the first choice, once its tokens are counted. */
  #contentOf(text: string): string {
    const completion = parse(text);
    const content = completion?.choices?.[0]?.message?.content;
    if (typeof content !== "string")
      throw new ServiceFailure(`the reply is not what a chat completion looks like: ${this.excerpt(text)}`);
    this.#server.count(completion?.usage);
    return content;
  }
}

interface Completion {
  choices?: { message?: { content?: unknown } }[];
  usage?: ReplyUsage | null;
}

function parse(text: string): Completion | null {
  try {
    return JSON.parse(text) as Completion | null;
  } catch {
    return null;
  }
}

/** The address of chat completions. */
function completionsUrl(text: string, owner: ChatCompletionsOwner): URL {
  const url = serverAddress(text, owner);
  const path = url.pathname.replace(/\/+$/, "");
  if (path === "") url.pathname = "/v1/chat/completions";
  else if (!path.endsWith("/completions")) url.pathname = `${path}/chat/completions`;
  return url;
}
