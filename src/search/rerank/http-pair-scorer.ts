/** @file A `/rerank` service as what judges pairs. */
import { UserError } from "../../errors.js";
import {
  excerpt,
  postJson,
  realTools,
  type HttpTools,
  type PostSettings,
  type RequestCounts,
} from "../../http/post.js";
import { credentialIn } from "../../http/credentials.js";
import { HttpError, defaultRetry } from "../../http/retry.js";
import type { Counts } from "../counts.js";
import { SearchError, checkSignal } from "../engine.js";
import type { SearchOptions } from "../engine.js";
import { withDeadline } from "../remote/deadline.js";
import { DialectError, dialectNames, dialects, type DialectName } from "./dialects.js";
import type { Pair, PairScorer } from "./pair-scorer.js";

/** The environment variable that the key is read from. */
export const rerankKeyVariable = "RERANK_API_KEY";

export interface HttpScorerSettings extends PostSettings {
  /** The service, with or without `/rerank`; what stands behind # is the model's name: https://api.jina.ai/v1/rerank#jina-reranker-v2. */
  url: string;
  /** Sent as a bearer token; empty: none. */
  key: string;
  /** auto: finds out with the first request. */
  dialect: DialectName | "auto";
  /** Most passages in one request. text-embeddings-inference refuses more than 32 unless it is told otherwise. */
  chunkSize: number;
  /** Most requests at once. */
  concurrency: number;
  /** Longest time for one call, all chunks and further tries included. Milliseconds. */
  deadlineMs: number;
}

const defaults: Omit<HttpScorerSettings, "url"> = {
  ...defaultRetry,
  timeoutMs: 10_000,
  deadlineMs: 60_000,
  maxAnswerBytes: 16 * 1024 * 1024,
  headers: {},
  key: "",
  dialect: "auto",
  chunkSize: 32,
  concurrency: 4,
};

/** What a service answers whose language is another one. */
const notUnderstood = new Set([400, 422]);

interface Chunk {
  query: string;
  passages: string[];
  /** Where the passages stand among the pairs. */
  places: number[];
}

/** Each request holds one query and passages of its own alone. Failures are `SearchError`s; the key is in none of them. */
export class HttpPairScorer implements PairScorer {
  readonly name: string;
  readonly #url: string;
  readonly #model: string;
  readonly #settings: HttpScorerSettings;
  readonly #tools: HttpTools;
  readonly #closed = new AbortController();
  #dialect: DialectName | undefined;
  readonly #requests: RequestCounts = { requests: 0, retries: 0, failures: 0 };

  /** @throws UserError for an address that is no http(s) URL or holds a password or key, and for a key that is none */
  constructor(settings: Partial<HttpScorerSettings> & { url: string }, tools: Partial<HttpTools> = {}) {
    const { key = "" } = settings;
    if (/[^\x21-\x7e]/.test(key)) {
      const hint = "Set it again, without quotes or line breaks.";
      throw new UserError(`${rerankKeyVariable} holds white space or letters that no key has. ${hint}`);
    }
    const headers = { ...settings.headers, ...(key === "" ? {} : { authorization: `Bearer ${key}` }) };
    this.#settings = { ...defaults, ...settings, headers };
    this.#tools = { ...realTools, ...tools };
    ({ url: this.#url, model: this.#model } = addressOf(settings.url));
    this.name = this.#url;
    if (this.#settings.dialect !== "auto") this.#dialect = this.#settings.dialect;
  }

  async score(pairs: readonly Pair[], options: SearchOptions = {}): Promise<number[]> {
    checkSignal(options.signal);
    if (this.#closed.signal.aborted) throw this.#error("it is closed", false);
    const { deadlineMs } = this.#settings;
    const late = (): SearchError => this.#error(`no answer within ${deadlineMs} ms, further tries included`, true);
    return withDeadline([options.signal, this.#closed.signal], deadlineMs, late, (signal) =>
      this.#scoreAll(pairs, signal),
    );
  }

  counts(): Counts {
    return { ...this.#requests };
  }

  /** Ends requests under way; they fail with a `SearchError`. */
  async close(): Promise<void> {
    this.#closed.abort(this.#error("it is closed", false));
  }

  async #scoreAll(pairs: readonly Pair[], signal: AbortSignal): Promise<number[]> {
    const scores = new Array<number>(pairs.length);
    const chunks = chunksOf(pairs, this.#settings.chunkSize);
    const next = async (): Promise<void> => {
      for (let chunk = chunks.shift(); chunk !== undefined; chunk = chunks.shift()) {
        const answer = await this.#scoreChunk(chunk, signal);
        for (const [index, place] of chunk.places.entries()) scores[place] = answer[index];
      }
    };
    // The first request alone where it also finds out how the service is spoken to.
    const [first] = this.#dialect === undefined ? chunks.splice(0, 1) : [];
    if (first !== undefined) {
      const answer = await this.#scoreChunk(first, signal);
      for (const [index, place] of first.places.entries()) scores[place] = answer[index];
    }
    await Promise.all(Array.from({ length: Math.min(this.#settings.concurrency, chunks.length) }, next));
    return scores;
  }

  async #scoreChunk(chunk: Chunk, signal: AbortSignal): Promise<number[]> {
    const candidates = this.#dialect === undefined ? dialectNames : [this.#dialect];
    const refused: string[] = [];
    for (const name of candidates) {
      try {
        const scores = await this.#ask(name, chunk, signal);
        this.#dialect = name;
        return scores;
      } catch (error) {
        if (!(error instanceof SearchError) || !notUnderstood.has(error.status ?? 0)) throw error;
        if (candidates.length === 1) throw error;
        // It did not fail: it speaks another language.
        this.#requests.failures--;
        refused.push(`as ${name}: ${error.message}`);
      }
    }
    throw this.#error(`it understands none of the ways in which such services are asked (${refused.join(" ")})`, false);
  }

  async #ask(name: DialectName, { query, passages }: Chunk, signal: AbortSignal): Promise<number[]> {
    const dialect = dialects[name];
    const body = JSON.stringify(dialect.request(query, passages, this.#model));
    let text: string;
    try {
      text = await postJson(this.#url, body, this.#settings, this.#tools, { signal, counts: this.#requests });
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      const { why, isRetryable, status, tries } = error;
      throw this.#error(`${why}${tries === 1 ? "" : ` (tried ${tries} times)`}`, isRetryable, status);
    }
    let answer: unknown;
    try {
      answer = JSON.parse(text);
    } catch {
      throw this.#error(`the answer is not JSON: ${excerpt(text)}`, false, 200);
    }
    try {
      return dialect.scores(answer, passages);
    } catch (error) {
      if (!(error instanceof DialectError)) throw error;
      throw this.#error(`the answer cannot be used: ${error.message}`, false, 200);
    }
  }

  /** Without the cause: it quotes what the server said, and servers quote keys. */
  #error(why: string, isRetryable: boolean, status?: number): SearchError {
    const { key } = this.#settings;
    const hidden = key === "" ? why : why.replaceAll(key, "[key]");
    const advice = status === 401 || status === 403 ? ` Put a key that may use it into ${rerankKeyVariable}.` : "";
    return new SearchError(`Rerank service ${this.#url}: ${hidden}.${advice}`, {
      engine: "rerank",
      isRetryable,
      url: this.#url,
      status,
    });
  }
}

/** Passages of one query, at most `size` of them. */
function chunksOf(pairs: readonly Pair[], size: number): Chunk[] {
  const placesOf = new Map<string, number[]>();
  for (const [place, { query }] of pairs.entries()) {
    const places = placesOf.get(query);
    if (places === undefined) placesOf.set(query, [place]);
    else places.push(place);
  }
  const chunks: Chunk[] = [];
  for (const [query, all] of placesOf) {
    for (let start = 0; start < all.length; start += size) {
      const places = all.slice(start, start + size);
      chunks.push({
        query: wellFormed(query),
        places,
        passages: places.map((place) => wellFormed(pairs[place].passage)),
      });
    }
  }
  return chunks;
}

/** Lone surrogates, which JSON can hold and UTF-8 cannot, become U+FFFD: servers written in Python fail on them. */
function wellFormed(text: string): string {
  return Buffer.from(text).toString();
}

function addressOf(url: string): { url: string; model: string } {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch (cause) {
    throw new UserError(`"${url}" is not an address. Write it like http://127.0.0.1:8080/rerank.`, { cause });
  }
  if (parsed.protocol !== "http:" && parsed.protocol !== "https:")
    throw new UserError(`"${url}" must begin with http:// or https://, like http://127.0.0.1:8080/rerank.`);
  const credential = credentialIn(parsed);
  if (credential !== undefined)
    throw new UserError(
      `The rerank service's address must not hold ${credential}: errors show it. Put the key into ${rerankKeyVariable}.`,
    );
  const model = decodeURIComponent(parsed.hash.slice(1));
  parsed.hash = "";
  if (parsed.pathname === "/") parsed.pathname = "/rerank";
  return { url: parsed.toString(), model };
}
