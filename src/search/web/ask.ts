/** @file One request to a search service, such that its key shows up nowhere else: not in errors, not at another server. */
import type { CircuitBreaker } from "../../http/breaker.js";
import { getJson, postJson, type HttpTools, type PostSettings, type RequestCounts } from "../../http/post.js";
import { HttpError } from "../../http/retry.js";
import type { WebRequest } from "./providers.js";

export interface AskOptions {
  endpoint: string;
  /** What must not be seen. */
  secrets: readonly string[];
  settings: PostSettings;
  tools: HttpTools;
  counts: RequestCounts;
  /** The service's: it is left alone for a while when it fails again and again. */
  breaker: CircuitBreaker;
  signal: AbortSignal;
}

/** Why a service refused, as far as its status and words tell. */
export type Refusal = "key" | "quota" | "other";

/** What the services write when an account is used up, whatever status they write it under. */
const usedUp =
  /not enough credits|run out of searches|searches .{0,30}have run out|queries per day|daily ?limit|quota_?limited|plan'?s set usage limit|pay-?as-?you-?go limit|insufficient (credits|balance|funds)/i;
const aboutKey = /api[ _-]?key|subscription_?token|unauthori[sz]ed|invalid token/i;

/** A request that failed for good. Its message names no key. */
export class AskError extends Error {
  readonly refusal: Refusal;
  readonly isRetryable: boolean;
  readonly status?: number;

  constructor(message: string, details: { refusal: Refusal; isRetryable: boolean; status?: number }) {
    super(message);
    this.refusal = details.refusal;
    this.isRetryable = details.isRetryable;
    this.status = details.status;
  }
}

/** Stands for any status of an account that is used up: nobody tries that again. */
const paymentRequired = 402;

/**
 * Sends a request, with the further tries and bounds of `settings`.
 * @returns the answer's text, as it came
 * @throws AskError for one that failed for good; the signal's reason once it aborts
 */
export async function askService(request: WebRequest, options: AskOptions): Promise<string> {
  const { endpoint, secrets, settings, tools, counts, breaker, signal } = options;
  const url = new URL(endpoint);
  for (const [name, value] of Object.entries(request.parameters ?? {})) url.searchParams.set(name, value);
  // The shared transport sees the endpoint alone, since its errors show what it sees. Redirects are answers that fail: followed, they would
  // carry the key to wherever they point.
  const hidden: HttpTools = {
    ...tools,
    fetch: async (_, init) => readable(await tools.fetch(url, { ...init, redirect: "manual" }), secrets),
  };
  const withHeaders = { ...settings, headers: { ...settings.headers, ...request.headers } };
  try {
    return request.body === undefined
      ? await getJson(endpoint, withHeaders, hidden, { signal, counts, breaker })
      : await postJson(endpoint, JSON.stringify(request.body), withHeaders, hidden, { signal, counts, breaker });
  } catch (error) {
    if (!(error instanceof HttpError)) throw error;
    const { why, status, isRetryable, tries } = error;
    const message = `${hide(why, secrets)}${tries === 1 ? "" : ` (tried ${tries} times)`}`;
    throw new AskError(message, { refusal: refusalOf(status, why), isRetryable, status });
  }
}

/**
 * A failure whose words can be shown, since some services repeat the key in them. 429 means "slow down" to some services and "used up" to
 * others; only their words tell.
 */
async function readable(response: Response, secrets: readonly string[]): Promise<Response> {
  if (response.ok) return response;
  const text = hide(await beginning(response, longestFailure), secrets);
  const status = response.status === 429 && usedUp.test(text) ? paymentRequired : response.status;
  return new Response(text === "" ? null : text, { status, headers: response.headers });
}

/** More of a failed answer is not read. Bytes. */
const longestFailure = 65_536;

async function beginning(response: Response, maxBytes: number): Promise<string> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    pieces.push(piece);
    bytes += piece.length;
    if (bytes >= maxBytes) break;
  }
  return Buffer.concat(pieces).toString("utf8");
}

function refusalOf(status: number | undefined, why: string): Refusal {
  if (status === undefined || status < 400 || status >= 500 || status === 429) return "other";
  if (status === paymentRequired || status === 432 || status === 433 || usedUp.test(why)) return "quota";
  return status === 401 || status === 403 || aboutKey.test(why) ? "key" : "other";
}

/** The text without the secrets, as they are and as they stand in addresses. */
export function hide(text: string, secrets: readonly string[]): string {
  let shown = text;
  for (const secret of secrets)
    for (const form of [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)])
      shown = shown.replaceAll(form, "[key]");
  return shown;
}
