/** @file A page of the web, fetched with suspicion: public addresses alone, few redirects, bounded in size and time whatever the server sends. */
import { pipeline, type Readable, type Transform } from "node:stream";
import { createBrotliDecompress, createGunzip, createInflate } from "node:zlib";
import { request, type Agent } from "undici";
import { withDeadline } from "../../async.js";
import { checkUrl, FetchFailed, publicAgent, type ConnectRules } from "./addresses.js";

/** Our name in the logs and robots.txt of the sites that are read. */
export const userAgent = "sleuth-rl/0.1 (reads pages that a search found, for language models that learn to search)";

export interface FetchLimits {
  /** Longest time, redirects included. Milliseconds. */
  timeoutMs: number;
  /** Largest body, after decompression. Bytes. */
  maxBytes: number;
  maxRedirects: number;
}

export interface Fetched {
  /** Where the redirects ended. */
  url: string;
  status: number;
  /** Lower-case, without parameters: "text/html". Empty where the server names none. */
  contentType: string;
  /** As the server names it; empty where it does not. */
  charset: string;
  body: Uint8Array;
}

interface FetchOptions {
  limits: FetchLimits;
  signal: AbortSignal;
  /** Asked before each request, redirects included; what it throws ends the fetch. */
  mayVisit?: (url: URL) => Promise<void>;
  /** Whether a body of this type is worth reading; of others, as of failures, nothing is read. */
  wants: (contentType: string) => boolean;
}

/**
 * Fetches a page and follows its redirects, over connections of its own: an agent that served all hosts would remember each of them for ever.
 * @throws Refused for an address that is not visited, on the way or at its end; FetchFailed; the signal's reason; what `mayVisit` throws
 */
export async function fetchPage(address: string, options: FetchOptions, rules: ConnectRules = {}): Promise<Fetched> {
  const { limits, signal, mayVisit, wants } = options;
  const { timeoutMs } = limits;
  const agent = publicAgent(rules);
  const follow = async (until: AbortSignal): Promise<Fetched> => {
    let url = checkUrl(address);
    for (let redirects = 0; ; redirects++) {
      await mayVisit?.(url);
      until.throwIfAborted();
      const answer = await get(url, agent, until);
      const next = answer.statusCode >= 300 && answer.statusCode < 400 ? first(answer.headers.location) : undefined;
      if (next === undefined) return await read(answer, url, limits.maxBytes, wants);
      discard(answer.body);
      if (redirects >= limits.maxRedirects) throw new FetchFailed(`more than ${limits.maxRedirects} redirects`);
      url = checkUrl(resolved(next, url));
    }
  };
  try {
    // undici hears an abort only once it is connected; the wait ends before.
    const late = (): FetchFailed => new FetchFailed(`it took longer than ${timeoutMs} ms`);
    return await withDeadline(follow, { timeoutMs, signal, late });
  } catch (error) {
    signal.throwIfAborted();
    if (isTransport(error)) throw new FetchFailed(error.message, { cause: error });
    throw error;
  } finally {
    // Not waited for: a name that is still being looked up would hold it up.
    agent.destroy().catch(() => undefined);
  }
}

function get(url: URL, dispatcher: Agent, signal: AbortSignal): ReturnType<typeof request> {
  const accept = "text/html, application/xhtml+xml, text/plain;q=0.8";
  const headers = { "user-agent": userAgent, accept, "accept-encoding": "gzip, br" };
  return request(url, { dispatcher, signal, headers });
}

type PageResponse = Awaited<ReturnType<typeof request>>;

async function read(
  { statusCode, headers, body }: PageResponse,
  url: URL,
  maxBytes: number,
  wants: (contentType: string) => boolean,
): Promise<Fetched> {
  const { contentType, charset } = parseContentType(first(headers["content-type"]) ?? "");
  const about = { url: url.href, status: statusCode, contentType, charset };
  if (statusCode < 200 || statusCode > 299 || !wants(contentType)) {
    discard(body);
    return { ...about, body: new Uint8Array() };
  }
  return { ...about, body: await readBody(body, first(headers["content-encoding"]) ?? "", maxBytes) };
}

/** Decompressed piece by piece: no more comes into being than is allowed, whatever a compressed body swells to. */
async function readBody(body: Readable, encoding: string, maxBytes: number): Promise<Uint8Array> {
  const plain = decompressed(body, encoding.trim().toLowerCase());
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const piece of plain as AsyncIterable<Uint8Array>) {
      bytes += piece.length;
      if (bytes > maxBytes) throw new FetchFailed(`it is larger than ${maxBytes} bytes`);
      pieces.push(piece);
    }
  } finally {
    discard(plain);
    discard(body);
  }
  return Buffer.concat(pieces);
}

const decoders = new Map<string, () => Transform>([
  ["gzip", createGunzip],
  ["x-gzip", createGunzip],
  ["br", createBrotliDecompress],
  ["deflate", createInflate],
]);

/** One coding: bodies that are compressed twice exist to be bombs. */
function decompressed(body: Readable, encoding: string): Readable {
  if (encoding === "" || encoding === "identity") return body;
  const decoder = decoders.get(encoding);
  if (decoder === undefined) {
    discard(body);
    throw new FetchFailed(`its content-encoding ${encoding.slice(0, 40)} is not known`);
  }
  // Errors reach the reader through the last stream.
  return pipeline(body, decoder(), () => undefined) as Readable;
}

/** Ends the connection too, where there is more to come. */
function discard(stream: Readable): void {
  stream.on("error", () => undefined).destroy();
}

function resolved(location: string, base: URL): string {
  try {
    return new URL(location, base).href;
  } catch {
    throw new FetchFailed("it redirects to no address");
  }
}

export function parseContentType(header: string): { contentType: string; charset: string } {
  const charset = /;\s*charset\s*=\s*"?([^\s";]+)/i.exec(header)?.[1] ?? "";
  return { contentType: header.split(";", 1)[0].trim().toLowerCase(), charset: charset.toLowerCase() };
}

function first(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}

/** Errors of DNS, sockets, TLS, undici and zlib carry a code; bugs of ours do not. */
function isTransport(error: unknown): error is Error {
  return error instanceof Error && "code" in error;
}
