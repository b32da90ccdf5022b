/** @file What the Hub can answer instead of what it was asked for, in words that say what to do. */
import { UserError } from "../../../errors.js";
import { hideSecrets } from "../../../http/credentials.js";
import { parseRetryAfter } from "../../../http/retry.js";
import type { HubName } from "./name.js";
import type { HubSettings } from "./settings.js";

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

/** A status other than success, for the repository that was asked for. */
export function statusError(response: Response, name: HubName, settings: HubSettings, now = Date.now()): HubError {
  const { status, headers } = response;
  const { endpoint } = settings;
  const { repository, revision } = name;
  const code = headers.get("x-error-code");
  const page = `${endpoint}/${repository}`;
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
function unknownRepository(status: number, { repository }: HubName, settings: HubSettings): HubError {
  if (settings.token === undefined)
    return new HubError(
      `There is no public model ${repository} at ${settings.endpoint} (${status}). Check the name; if it is private, set HF_TOKEN to a token that may read it.`,
    );
  return new HubError(
    status === 401
      ? `The Hub does not accept the token in ${settings.tokenSource} for ${repository} (401). It may have expired, or it may not read this model, or there is no such model.`
      : `There is no model ${repository} at ${settings.endpoint} that the token in ${settings.tokenSource} may read. Check the name and the account.`,
  );
}

/** No answer at all. */
export function connectionError(error: unknown, settings: HubSettings, host: string): HubError {
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
