/**
 * @file Requests to the Hub: the token goes to the endpoint alone, redirects are followed here so that this can be said, and what
 * may pass is tried again a few times.
 */
import { linkedController } from "../../../async.js";
import { realTools } from "../../../http/request.js";
import { defaultRetry, withRetries } from "../../../http/retry.js";
import { connectionError, HubError, statusError } from "./hub-error.js";
import type { HubName } from "./name.js";
import type { HubSettings } from "./settings.js";

interface HubRetrySettings {
  /** Failures in a row, without a byte between them, after which it is given up. */
  tries: number;
  /** Wait before the first retry; doubled each time. Milliseconds. */
  firstDelayMs: number;
  /** Longest wait that a server may ask for; asked for more, it is given up at once. Milliseconds. */
  maxRetryAfterMs: number;
  /** A server that is silent for so long counts as gone. Milliseconds. */
  silenceMs: number;
}

const hubRetry: HubRetrySettings = {
  tries: 5,
  firstDelayMs: 500,
  maxRetryAfterMs: 60_000,
  silenceMs: 30_000,
};

export interface TransportOptions {
  signal?: AbortSignal;
  fetch?: typeof fetch;
  retry?: Partial<HubRetrySettings>;
  /** Told of waits that a person would wonder about. */
  onNote?: (message: string) => void;
}

const mostRedirects = 10;

/** An answer whose body is still to come; `alive` is to be called at each sign of life, `close` at the end. */
interface HubResponse {
  response: Response;
  alive: () => void;
  close: () => void;
}

export class HubTransport {
  readonly settings: HubSettings;
  readonly #retry: HubRetrySettings;
  readonly #name: HubName;
  readonly #options: TransportOptions;
  readonly #fetch: typeof fetch;

  constructor(settings: HubSettings, name: HubName, options: TransportOptions) {
    this.settings = settings;
    this.#retry = { ...hubRetry, ...options.retry };
    this.#name = name;
    this.#options = options;
    this.#fetch = options.fetch ?? globalThis.fetch;
  }

  /** A `fetch` for small answers: whole when it resolves, and always a success. */
  readonly fetch: typeof globalThis.fetch = (input, init) =>
    this.withRetries(async () => {
      const url = input instanceof Request ? input.url : String(input);
      const { response, close } = await this.open(url, init?.headers);
      try {
        const { status, headers } = response;
        return new Response(await this.reading(response.arrayBuffer(), url), { status, headers });
      } finally {
        close();
      }
    });

  /**
   * One request, redirects followed, without a second try.
   * @throws HubError for everything but success and 416 (a range behind the end); the signal's reason when it aborts
   */
  async open(address: string, given?: RequestInit["headers"]): Promise<HubResponse> {
    const { signal } = this.#options;
    signal?.throwIfAborted();
    const { controller, release } = linkedController(signal);
    const timer = setTimeout(() => controller.abort(new Error("silent for too long")), this.#retry.silenceMs);
    const close = (): void => {
      clearTimeout(timer);
      release();
    };
    try {
      const response = await this.#follow(new URL(address), new Headers(given), controller.signal);
      return { response, alive: () => void timer.refresh(), close };
    } catch (error) {
      close();
      throw error;
    }
  }

  async #follow(first: URL, headers: Headers, signal: AbortSignal): Promise<Response> {
    const { settings } = this;
    const { origin } = new URL(settings.endpoint);
    headers.set("user-agent", "sleuth-rl");
    let url = first;
    for (let hops = 0; hops <= mostRedirects; hops++) {
      headers.delete("authorization");
      if (settings.token !== undefined && url.origin === origin)
        headers.set("authorization", `Bearer ${settings.token}`);
      const response = await this.reading(this.#fetch(url, { headers, signal, redirect: "manual" }), url);
      if (response.ok || response.status === 416) return response;
      // An unread body keeps its connection.
      await response.body?.cancel().catch(() => undefined);
      const location = response.headers.get("location");
      if (response.status < 300 || response.status >= 400 || location === null)
        throw statusError(response, this.#name, settings);
      url = new URL(location, url);
    }
    throw new HubError(`${settings.endpoint} redirects ${this.#name.repository} in a circle. Try again later.`);
  }

  /** Waits for something from the network; what goes wrong there becomes a HubError, except for the caller's own abort. */
  async reading<T>(promise: Promise<T>, url: URL | string): Promise<T> {
    try {
      return await promise;
    } catch (error) {
      this.#options.signal?.throwIfAborted();
      throw connectionError(error, this.settings, new URL(url).host);
    }
  }

  /**
   * Runs `attempt` until it succeeds, fails for good, or has failed `tries` times in a row.
   * @param progress grows when something was achieved; then the count of failures begins again
   */
  withRetries<T>(attempt: () => Promise<T>, progress?: () => number): Promise<T> {
    const { signal, onNote } = this.#options;
    const { tries, firstDelayMs, maxRetryAfterMs } = this.#retry;
    return withRetries(attempt, {
      settings: { ...defaultRetry, retries: tries - 1, firstDelayMs, maxRetryAfterMs },
      tools: realTools,
      waitAsked: (failure) => (failure instanceof HubError && failure.isRetryable ? failure.retryAfterMs : undefined),
      signal,
      progress,
      onWait: (ms) => {
        if (ms >= 2000) onNote?.(`The Hub does not answer as it should; trying again in ${Math.ceil(ms / 1000)} s.`);
      },
    });
  }
}
