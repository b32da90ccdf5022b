/**
 * @file The client of OpenAI's `/v1/chat/completions`, which llama.cpp, vLLM, Ollama and hosted services speak: so many requests at once and a
 * minute, retries, and a count of the tokens that the server says it used. Judges, writers of questions and served policies ask through it.
 */
import { Gate } from "../async.js";
import type { ChatMessage } from "../types.js";
import { defaultBreaker, type BreakerSettings } from "./breaker.js";
import { checkKey, serviceUrl } from "./credentials.js";
import { RateLimit } from "./rate-limit.js";
import { realTools, ServiceFailure, type HttpTools } from "./request.js";
import { defaultService, Service, type ErrorDetails } from "./service.js";

/** What a client may set; what is left out has a default. */
export interface ChatCompletionsSettings {
  /** The server: `http://127.0.0.1:11434/v1`, or the whole address of its chat completions. */
  url: string;
  /** As the server calls it. */
  model: string;
  /** Sent as a bearer token and never shown. Default none. */
  key?: string;
  /** Further fields of each request, such as `temperature` and `max_tokens`. */
  body?: Readonly<Record<string, unknown>>;
  /** Requests at once. Default 8. */
  concurrency?: number;
  /** Requests a minute, retries included; 0: no limit. */
  perMinute?: number;
  /** Longest time for one request, in milliseconds. Default two minutes. */
  timeoutMs?: number;
  /** Retries of a request. Default 3. */
  retries?: number;
  /** Longest time for one completion, retries included. Milliseconds; default: what its retries may take at most. */
  deadlineMs?: number;
  /** When the server is left alone, and for how long. Default: after as many failures in a row as all requests at once have tries. */
  breaker?: BreakerSettings;
}

/** Who asks, in the words of messages. */
export interface ChatCompletionsOwner {
  /** "Judge". */
  title: string;
  /** What the user called the address: "reward.judgeUrl". */
  urlName: string;
  /** The environment variable of the key. */
  keyVariable: string;
  /** What the user can do about a failure, in whole sentences. */
  advice: (failure: ServiceFailure) => string;
  /** Makes the errors that callers get. */
  error: (message: string, details: ErrorDetails) => Error;
}

/** What a server says that it has used, over all replies. */
export interface ChatUsage {
  /** Replies that were completions. */
  replies: number;
  promptTokens: number;
  completionTokens: number;
  /** Replies that did not say what they used: their tokens are missing above. */
  uncounted: number;
}

/** Longest reply that is read. Bytes. */
const maxAnswerBytes = 1024 * 1024;

const defaults = { concurrency: 8, perMinute: 0, timeoutMs: 120_000, retries: 3 };

/** One model of one server. */
export class ChatCompletions {
  /** The address without its query, for messages. */
  readonly url: string;
  readonly #address: string;
  readonly #model: string;
  readonly #body: Readonly<Record<string, unknown>>;
  readonly #service: Service;
  readonly #gate: Gate;
  readonly #rate: RateLimit;
  readonly #usage: ChatUsage = { replies: 0, promptTokens: 0, completionTokens: 0, uncounted: 0 };

  /** @throws UserError for an invalid address, one with a key in it, and a key that no header can hold */
  constructor(settings: ChatCompletionsSettings, owner: ChatCompletionsOwner, given: Partial<HttpTools> = {}) {
    const url = completionsUrl(settings.url, owner);
    this.#address = url.href;
    this.url = url.origin + url.pathname;
    checkKey(settings.key ?? "", owner.keyVariable);
    this.#model = settings.model;
    this.#body = settings.body ?? {};
    const { concurrency, perMinute } = { ...defaults, ...withoutUndefined(settings) };
    const tools = { ...realTools, ...given };
    this.#gate = new Gate(concurrency);
    this.#rate = new RateLimit(perMinute === 0 ? undefined : perMinute / 60, tools);
    this.#service = this.#open(settings, owner, tools);
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
    const request = { url: this.#address, body: JSON.stringify(fields) };
    const ask = (): Promise<T> =>
      this.#service.call(signal, (ending) =>
        this.#service.text(request, ending, (text) => read(this.#contentOf(text))),
      );
    return this.#gate.run(ask, { signal });
  }

  /** What was used since the client was made. */
  usage(): Readonly<ChatUsage> {
    return { ...this.#usage };
  }

  /** The beginning of a reply, quoted and without secrets. */
  excerpt(text: string): string {
    return this.#service.excerpt(text);
  }

  /** Ends requests under way; they and later ones fail with the owner's error. */
  close(): void {
    this.#service.close();
  }

  #open(settings: ChatCompletionsSettings, owner: ChatCompletionsOwner, tools: HttpTools): Service {
    const { maxRetryAfterMs } = defaultService;
    const { concurrency, perMinute, timeoutMs, retries } = { ...defaults, ...withoutUndefined(settings) };
    const { key = "", deadlineMs, breaker } = settings;
    const longestTurnMs = perMinute === 0 ? 0 : (concurrency * 60_000) / perMinute;
    return new Service(
      {
        title: owner.title,
        url: this.url,
        settings: {
          ...defaultService,
          retries,
          timeoutMs,
          deadlineMs: deadlineMs ?? (retries + 1) * (timeoutMs + maxRetryAfterMs + longestTurnMs),
          maxAnswerBytes,
          headers: key === "" ? {} : { authorization: `Bearer ${key}` },
          // A short outage meets all requests at once: the breaker opens when as many tries have failed as theirs together.
          breaker: breaker ?? {
            ...defaultBreaker,
            failuresInRow: Math.max(defaultBreaker.failuresInRow, concurrency * (retries + 1)),
          },
        },
        advice: owner.advice,
        error: owner.error,
        // A server that wants a rest is left alone by all requests, not only by the one that it told.
        onRetryAfter: (ms) => this.#rate.rest(Math.min(ms, maxRetryAfterMs)),
      },
      {
        ...tools,
        beforeRequest: async (signal) => {
          await this.#rate.take(signal);
          await tools.beforeRequest?.(signal);
        },
      },
    );
  }

  /** The text of the first choice, once its tokens are counted. */
  #contentOf(text: string): string {
    const completion = parse(text);
    const content = completion?.choices?.[0]?.message?.content;
    if (typeof content !== "string")
      throw new ServiceFailure(`the reply is not what a chat completion looks like: ${this.excerpt(text)}`);
    this.#count(completion?.usage);
    return content;
  }

  #count(usage: Completion["usage"]): void {
    this.#usage.replies++;
    const { prompt_tokens: prompt, completion_tokens: completion } = usage ?? {};
    if (!isCount(prompt) || !isCount(completion)) this.#usage.uncounted++;
    else {
      this.#usage.promptTokens += prompt;
      this.#usage.completionTokens += completion;
    }
  }
}

interface Completion {
  choices?: { message?: { content?: unknown } }[];
  usage?: { prompt_tokens?: unknown; completion_tokens?: unknown } | null;
}

function parse(text: string): Completion | null {
  try {
    return JSON.parse(text) as Completion | null;
  } catch {
    return null;
  }
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** What is undefined hides no default. */
function withoutUndefined<T extends object>(settings: T): { [Key in keyof T]: Exclude<T[Key], undefined> } {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined)) as {
    [Key in keyof T]: Exclude<T[Key], undefined>;
  };
}

/** The address of chat completions; credentials in it are refused, since errors and files show the address. */
function completionsUrl(text: string, { urlName, keyVariable }: ChatCompletionsOwner): URL {
  const url = serviceUrl(text, {
    name: urlName,
    example: "http://127.0.0.1:11434/v1",
    keyAdvice: `Put the key into ${keyVariable}.`,
  });
  const path = url.pathname.replace(/\/+$/, "");
  if (path === "") url.pathname = "/v1/chat/completions";
  else if (!path.endsWith("/completions")) url.pathname = `${path}/chat/completions`;
  return url;
}
