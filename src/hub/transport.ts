/**
 * @file Requests to the Hub: the token goes to the endpoint alone, redirects are followed here so that this can be said, what may pass is
 * tried again a few times, and what the Hub answers instead is said in words that tell what to do.
 */
import { linkedController } from "../async.js";
import { UserError } from "../errors.js";
import { hideSecrets } from "../http/credentials.js";
import { realTools } from "../http/request.js";
import { defaultRetry, parseRetryAfter, withRetries } from "../http/retry.js";
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

interface HubErrorOptions {
  /** Another try may succeed. */
  isRetryable?: boolean;
  /** Nothing is wrong with the request: what is cached may be used instead. */
  isUnavailable?: boolean;
  /** How long the server asks to wait. Milliseconds. */
  retryAfterMs?: number;
  cause?: unknown;
}

export class HubError extends UserError {
  readonly isRetryable: boolean;
  readonly isUnavailable: boolean;
  readonly retryAfterMs: number;

  constructor(message: string, options: HubErrorOptions = {}) {
    super(message, { cause: options.cause });
    this.name = "HubError";
    this.isRetryable = options.isRetryable ?? false;
    this.isUnavailable = options.isUnavailable ?? false;
    this.retryAfterMs = options.retryAfterMs ?? 0;
  }
}

/** The address of a repository's page, and the beginning of those of its files. */
export function pageOf({ endpoint }: HubSettings, { type, repository }: HubName): string {
  return `${endpoint}/${type === "dataset" ? "datasets/" : ""}${repository}`;
}

/** A status other than success, for the repository that was asked for. */
function statusError(response: Response, name: HubName, settings: HubSettings, now = Date.now()): HubError {
  const { status, headers } = response;
  const { endpoint } = settings;
  const { repository, revision } = name;
  const code = headers.get("x-error-code");
  const page = pageOf(settings, name);
  if (code === "GatedRepo")
    return new HubError(
      `${repository} is gated: its owners give access on request. Ask for it at ${page}, then ` +
        (settings.token === undefined
          ? "set HF_TOKEN to a token of the account that was given access."
          : `use a token of the account that was given access; the one in ${settings.tokenSource} has none yet.`),
    );
  if (status === 401 || (status === 404 && code === "RepoNotFound")) return unknownRepository(status, name, settings);
  if (status === 403)
    return new HubError(
      `The Hub refuses access to ${repository} (403). ` +
        (settings.token === undefined
          ? "Set HF_TOKEN to a token that may read it."
          : `The token in ${settings.tokenSource} may not read it: give it that right in the Hub's settings, or use another.`),
    );
  if (status === 404)
    return new HubError(
      code === "RevisionNotFound"
        ? `${repository} has no revision "${revision}". Its branches and tags are listed at ${page}/tree/main.`
        : `There is no ${repository} with a revision "${revision}" at ${endpoint}. Check the name and the revision.`,
    );
  if (status === 429)
    return new HubError(
      `The Hub limits how often it may be asked (429). Wait a few minutes and run the same command again; it goes on where it stopped.` +
        (settings.token === undefined ? " With HF_TOKEN set the limit is higher." : ""),
      { isRetryable: true, isUnavailable: true, retryAfterMs: waitAsked(headers, now) },
    );
  if (status === 408 || status >= 500)
    return new HubError(
      `${endpoint} has trouble (status ${status}). Run the same command again later; it goes on where it stopped.`,
      { isRetryable: true, isUnavailable: true, retryAfterMs: waitAsked(headers, now) },
    );
  return new HubError(
    `${endpoint} answered ${status} for ${repository}${quoted(headers.get("x-error-message"), settings)}`,
  );
}

/** The Hub answers 401 for what does not exist, too, so as not to tell what private repositories there are. */
function unknownRepository(status: number, { type = "model", repository }: HubName, settings: HubSettings): HubError {
  if (settings.token === undefined)
    return new HubError(
      `There is no public ${type} ${repository} at ${settings.endpoint} (${status}). Check the name; if it is private, set HF_TOKEN to a token that may read it.`,
    );
  return new HubError(
    status === 401
      ? `The Hub does not accept the token in ${settings.tokenSource} for ${repository} (401). It may have expired, or it may not read this ${type}, or there is no such ${type}.`
      : `There is no ${type} ${repository} at ${settings.endpoint} that the token in ${settings.tokenSource} may read. Check the name and the account.`,
  );
}

/** No answer at all. */
function connectionError(error: unknown, settings: HubSettings, host: string): HubError {
  const code = codeOf(error);
  const isCertificate = /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ERR_TLS/.test(code);
  const advice = isCertificate
    ? "Its certificate is not trusted: behind a company's proxy, name its certificate with NODE_EXTRA_CA_CERTS."
    : "Check the connection (and HF_ENDPOINT, if you set it), then run the same command again: it goes on where it stopped. With HF_HUB_OFFLINE=1 only what is cached is used.";
  const proxy =
    settings.proxyVariable === undefined
      ? ""
      : ` Node uses the proxy in ${settings.proxyVariable} only with NODE_USE_ENV_PROXY=1 (Node 22.21, 24 or later).`;
  const what = host === new URL(settings.endpoint).host ? settings.endpoint : `${host}, where the Hub keeps its files`;
  return new HubError(`No connection to ${what} (${code}). ${advice}${proxy}`, {
    isRetryable: !isCertificate,
    isUnavailable: true,
    cause: error,
  });
}

/** The innermost reason that has a name. */
function codeOf(error: unknown): string {
  const { code, cause, message } = error as NodeJS.ErrnoException & { cause?: unknown };
  if (cause !== undefined && cause !== null) return codeOf(cause);
  return code ?? message ?? "no reason given";
}

/** `retry-after`, else the seconds that the Hub's `ratelimit` header gives; 0 where there is neither. */
function waitAsked(headers: Headers, now: number): number {
  const seconds = /;t=(\d+)/.exec(headers.get("ratelimit") ?? "")?.[1] ?? null;
  return parseRetryAfter(headers.get("retry-after") ?? seconds, now) ?? 0;
}

/** What a server said, short, without control characters and without the token. */
function quoted(text: string | null, { token }: HubSettings): string {
  if (!text) return ".";
  const plain = text.replace(/[\x00-\x1f\x7f-\x9f]+/g, " ");
  return `: ${hideSecrets(plain, token === undefined ? [] : [token]).slice(0, 200)}`;
}
