/**
 * @file The client of one server with OpenAI's interface, which vLLM, SGLang, llama.cpp, Ollama and hosted services speak: so many requests at once
 * and a minute, retries, and a count of the tokens that the server says it used. What is asked, and how a reply is read, is the caller's.
 */
import { Gate } from "../async.js";
import { defaultBreaker, type BreakerSettings } from "./breaker.js";
import { checkKey, serviceUrl } from "./credentials.js";
import { RateLimit } from "./rate-limit.js";
import { realTools, type HttpTools, type ServiceFailure } from "./request.js";
import { defaultService, Service, type ErrorDetails } from "./service.js";

/** What a client may set; what is left out has a default. */
export interface OpenAiSettings {
  /** Sent as a bearer token and never shown. Default none. */
  key?: string;
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
export interface OpenAiOwner {
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
  /** Whether the words of a failed reply rule a retry out that its status would call for. */
  isFinal?: (status: number, words: string) => boolean;
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

/** What a reply says that it has used, as far as it is looked at. */
export interface ReplyUsage {
  prompt_tokens?: unknown;
  completion_tokens?: unknown;
}

/** Longest reply that is read. Bytes. */
const maxAnswerBytes = 1024 * 1024;

const defaults = { concurrency: 8, perMinute: 0, timeoutMs: 120_000, retries: 3 };

export class OpenAiServer {
  /** The address without its query, for messages. */
  readonly url: string;
  readonly #service: Service;
  readonly #gate: Gate;
  readonly #rate: RateLimit;
  readonly #usage: ChatUsage = { replies: 0, promptTokens: 0, completionTokens: 0, uncounted: 0 };

  /**
   * @param url checked by `serverAddress`; messages name it
   * @throws UserError for a key that no header can hold
   */
  constructor(url: URL, settings: OpenAiSettings, owner: OpenAiOwner, given: Partial<HttpTools> = {}) {
    this.url = url.origin + url.pathname;
    checkKey(settings.key ?? "", owner.keyVariable);
    const { concurrency, perMinute } = { ...defaults, ...withoutUndefined(settings) };
    const tools = { ...realTools, ...given };
    this.#gate = new Gate(concurrency);
    this.#rate = new RateLimit(perMinute === 0 ? undefined : perMinute / 60, tools);
    this.#service = this.#open(settings, owner, tools);
  }

  /**
   * What `read` makes of the reply to a request. It waits until fewer than `concurrency` are under way.
   * @param fields the body; absent: a GET
   * @param read throws `ServiceFailure` for a reply that cannot be used; with `retryAfterMs` the same is asked again
   * @throws the owner's error; the signal's reason when it aborts
   */
  ask<T>(
    address: URL,
    fields: Readonly<Record<string, unknown>> | undefined,
    read: (reply: string) => T,
    signal?: AbortSignal,
  ): Promise<T> {
    const request = { url: address.href, ...(fields === undefined ? {} : { body: JSON.stringify(fields) }) };
    const ask = (): Promise<T> =>
      this.#service.call(signal, (ending) => this.#service.text(request, ending, (text) => read(text)));
    return this.#gate.run(ask, { signal });
  }

  /** Counts what a completion says that it has used. */
  count(usage: ReplyUsage | null | undefined): void {
    this.#usage.replies++;
    const { prompt_tokens: prompt, completion_tokens: completion } = usage ?? {};
    if (!isCount(prompt) || !isCount(completion)) this.#usage.uncounted++;
    else {
      this.#usage.promptTokens += prompt;
      this.#usage.completionTokens += completion;
    }
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

  #open(settings: OpenAiSettings, owner: OpenAiOwner, tools: HttpTools): Service {
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
        isFinal: owner.isFinal,
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
}

export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** What is undefined hides no default. */
function withoutUndefined<T extends object>(settings: T): { [Key in keyof T]: Exclude<T[Key], undefined> } {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined)) as {
    [Key in keyof T]: Exclude<T[Key], undefined>;
  };
}

/**
 * The address of a server as a user wrote it; credentials in it are refused, since errors and files show the address.
 * @throws UserError for what is no address, and for one with credentials in it
 */
export function serverAddress(
  text: string,
  { urlName, keyVariable }: Pick<OpenAiOwner, "urlName" | "keyVariable">,
): URL {
  return serviceUrl(text, {
    name: urlName,
    example: "http://127.0.0.1:11434/v1",
    keyAdvice: `Put the key into ${keyVariable}.`,
  });
}

/** `http://host/v1` of a server's address, which may be that of its completions or bare. */
export function baseAddress(url: URL): URL {
  const base = new URL(url);
  base.pathname = url.pathname.replace(/\/+$/, "").replace(/\/(?:chat\/)?completions$/, "");
  if (base.pathname === "/" || base.pathname === "") base.pathname = "/v1";
  return base;
}

/** The address of something below a base: `completions`, `models`. */
export function addressBelow(base: URL, name: string): URL {
  const url = new URL(base);
  url.pathname = `${base.pathname.replace(/\/+$/, "")}/${name}`;
  return url;
}
