/** @file A `/rerank` service as what judges pairs. */
import type { Pair, PairScorer } from "../engine.js";
import { askChunks, chunksOf, isAnswer, Refused } from "../../http/chunks.js";
import { checkKey, serviceUrl } from "../../http/credentials.js";
import { ServiceFailure, type HttpTools } from "../../http/request.js";
import { defaultService, Service, type ServiceSettings } from "../../http/service.js";
import { SearchError, type SearchOptions } from "../engine.js";

/** The environment variable that the key is read from. */
export const rerankKeyVariable = "RERANK_API_KEY";

/** A dialect of such services: what is sent, and how the answer gives every passage its score. */
interface Dialect {
  /** The body that asks for the scores of these passages. */
  request(query: string, passages: readonly string[], model: string): unknown;
  /**
   * The scores in the passages' order.
   * @throws ServiceFailure for an answer without one finite score for each passage
   */
  scores(answer: unknown, passages: readonly string[]): number[];
}

export const dialectNames = ["cohere", "tei", "search-r1"] as const;
type DialectName = (typeof dialectNames)[number];

const dialects: { readonly [Name in DialectName]: Dialect } = {
  /** Cohere's, spoken by Jina, Voyage (with `data` for `results`), vLLM, llama.cpp, Infinity and LiteLLM too. */
  cohere: {
    request: (query, documents, model) => ({ ...(model === "" ? {} : { model }), query, documents }),
    scores: (answer, passages) => indexedScores(fieldOf(answer, "results") ?? fieldOf(answer, "data"), passages.length),
  },
  /** Hugging Face's text-embeddings-inference: a bare list. Passages that are too long are cut instead of refused. */
  tei: {
    request: (query, texts) => ({ query, texts, truncate: true }),
    scores: (answer, passages) => indexedScores(answer, passages.length),
  },
  /**
   * Search-R1's rerank_server.py (commit a14dc3a). It answers with texts in the order of their scores, so passages are recognised by their
   * text; equal texts have equal scores. A batch of queries would mix their passages there: it is asked for one query at a time.
   */
  "search-r1": {
    request: (query, passages) => ({
      queries: [query],
      documents: [passages.map((passage) => ({ contents: contentsOf(passage) }))],
      rerank_topk: passages.length,
      return_scores: true,
    }),
    scores: (answer, passages) => {
      const lists = fieldOf(answer, "result");
      if (!Array.isArray(lists) || lists.length !== 1 || !Array.isArray(lists[0]))
        throw unusable("there is no list of results for the one query");
      const known = new Map<unknown, unknown>();
      for (const item of lists[0] as unknown[]) known.set(fieldOf(item, "document"), fieldOf(item, "score"));
      return passages.map((passage, index) => finite(known.get(shownAs(contentsOf(passage))), index));
    },
  },
};

interface HttpScorerSettings extends ServiceSettings {
  /** The service, with or without `/rerank`; what stands behind # is the model's name: https://api.jina.ai/v1/rerank#jina-reranker-v2. */
  url: string;
  /** Sent as a bearer token; empty: none. */
  key: string;
  /** auto: finds out with the first request. */
  dialect: DialectName | "auto";
  /** Most passages in one request. text-embeddings-inference refuses more than 32 unless it is told otherwise. */
  chunkSize: number;
  /** Most requests of one call at once. */
  concurrency: number;
}

const defaults: Omit<HttpScorerSettings, "url"> = {
  ...defaultService,
  timeoutMs: 10_000,
  deadlineMs: 60_000,
  maxAnswerBytes: 16 * 1024 * 1024,
  key: "",
  dialect: "auto",
  chunkSize: 32,
  concurrency: 4,
};

/** The answers of a service that speaks another dialect. */
const notUnderstood = new Set([400, 422]);

/** A pair as it is sent, with its place among the caller's. */
interface Placed extends Pair {
  place: number;
}

/**
 * Each request holds one query and passages of its own alone. One that is refused is asked for in halves, down to the pair that the service does
 * not take: it has no score. Failures are `SearchError`s; the key is in none of them.
 */
export class HttpPairScorer implements PairScorer {
  readonly name: string;
  readonly #model: string;
  readonly #chunks: Pick<HttpScorerSettings, "chunkSize" | "concurrency">;
  readonly #service: Service;
  #dialect: DialectName | undefined;
  /** Requests in dialects that the service does not speak: they are no failures of it. */
  #misunderstood = 0;
  #refused = 0;

  /** @throws UserError for an address that is no http(s) URL or holds a password or key, and for an invalid key */
  constructor(given: Partial<HttpScorerSettings> & { url: string }, tools: Partial<HttpTools> = {}) {
    const settings = { ...defaults, ...given };
    const { key, dialect } = settings;
    checkKey(key, rerankKeyVariable);
    const { url, model } = addressOf(settings.url);
    const headers = { ...settings.headers, ...(key === "" ? {} : { authorization: `Bearer ${key}` }) };
    this.name = url;
    this.#model = model;
    this.#chunks = settings;
    this.#dialect = dialect === "auto" ? undefined : dialect;
    this.#service = new Service(
      {
        title: "Rerank service",
        url,
        settings: { ...settings, headers },
        advice: ({ status }) =>
          status === 401 || status === 403 ? `Put a key that may use it into ${rerankKeyVariable}.` : "",
        error: (message, details) => new SearchError(message, { engine: "rerank", ...details }),
      },
      tools,
    );
  }

  async score(pairs: readonly Pair[], { signal }: SearchOptions = {}): Promise<(number | undefined)[]> {
    return this.#service.call(signal, (whole) => this.#scoreAll(pairs, whole));
  }

  counts(): Readonly<Record<string, number>> {
    const counts = this.#service.counts();
    return { ...counts, failures: counts.failures - this.#misunderstood, pairsRefused: this.#refused };
  }

  /** Ends requests under way; they fail with a `SearchError`. */
  async close(): Promise<void> {
    this.#service.close();
  }

  async #scoreAll(pairs: readonly Pair[], signal: AbortSignal): Promise<(number | undefined)[]> {
    const { chunkSize, concurrency } = this.#chunks;
    const chunks = pairsByQuery(pairs).flatMap((own) => chunksOf(own, chunkSize));
    const placed = chunks.flat();
    const ask = (chunk: readonly Placed[], until: AbortSignal): Promise<number[]> =>
      this.#dialect === undefined ? this.#askSomehow(chunk, placed, until) : this.#ask(this.#dialect, chunk, until);
    const asking = (some: readonly Placed[][]): Promise<(number | Refused)[]> =>
      askChunks(some, { concurrency, sizeOf }, signal, ask);
    // The first request alone where it also finds out how the service is spoken to.
    const first = this.#dialect === undefined ? await asking(chunks.splice(0, 1)) : [];
    const answers = [...first, ...(await asking(chunks))];
    const refused = answers.filter((answer) => answer instanceof Refused);
    this.#refused += refused.length;
    if (refused.length > 0 && refused.length === pairs.length) throw refused[0].error;
    const scores = new Array<number | undefined>(pairs.length).fill(undefined);
    for (const [index, { place }] of placed.entries()) {
      const answer = answers[index];
      if (isAnswer(answer)) scores[place] = answer;
    }
    return scores;
  }

  /**
   * Asks in each dialect. Where all are refused, the smallest of `all` pairs is asked alone: a service that does not take it understands none.
   * @throws SearchError; that of the service's own dialect where it takes that pair
   */
  async #askSomehow(chunk: readonly Placed[], all: readonly Placed[], signal: AbortSignal): Promise<number[]> {
    const smallest = all.reduce((one, other) => (sizeOf(other) < sizeOf(one) ? other : one));
    const refusals = new Map<DialectName, SearchError>();
    for (const pairs of chunk.length === 1 && chunk[0] === smallest ? [chunk] : [chunk, [smallest]]) {
      for (const name of dialectNames) {
        try {
          const scores = await this.#ask(name, pairs, signal);
          this.#dialect = name;
          if (pairs === chunk) return scores;
        } catch (error) {
          if (!(error instanceof SearchError) || !notUnderstood.has(error.status ?? 0)) throw error;
          this.#misunderstood++;
          refusals.set(name, refusals.get(name) ?? error);
          continue;
        }
        throw refusals.get(name) as SearchError;
      }
    }
    const told = [...refusals].map(([name, { message }]) => `as ${name}: ${message}`);
    const why = `it understands none of the ways in which such services are asked (${told.join(" ")})`;
    throw this.#service.error(why, {});
  }

  /** Of pairs with one query. */
  #ask(name: DialectName, pairs: readonly Placed[], signal: AbortSignal): Promise<number[]> {
    const dialect = dialects[name];
    const passages = pairs.map(({ passage }) => passage);
    const body = JSON.stringify(dialect.request(pairs[0].query, passages, this.#model));
    return this.#service.json({ url: this.#service.url, body }, signal, (answer) => dialect.scores(answer, passages));
  }
}

/** Of two pairs the smaller is more likely to be taken; an empty passage is refused by many services. */
function sizeOf({ query, passage }: Pair): number {
  return passage.trim() === "" ? Infinity : query.length + passage.length;
}

/** JSON can hold halves of surrogate pairs, UTF-8 cannot: servers written in Python fail on them. */
function pairsByQuery(pairs: readonly Pair[]): Placed[][] {
  const byQuery = new Map<string, Placed[]>();
  for (const [place, { query, passage }] of pairs.entries()) {
    const placed = { query: query.toWellFormed(), passage: passage.toWellFormed(), place };
    const others = byQuery.get(query);
    if (others === undefined) byQuery.set(query, [placed]);
    else others.push(placed);
  }
  return [...byQuery.values()];
}

function addressOf(text: string): { url: string; model: string } {
  const url = serviceUrl(text, {
    name: "The rerank service's address",
    example: "http://127.0.0.1:8080/rerank",
    keyAdvice: `Put the key into ${rerankKeyVariable}.`,
  });
  const model = decodeURIComponent(url.hash.slice(1));
  url.hash = "";
  if (url.pathname === "/") url.pathname = "/rerank";
  return { url: url.href, model };
}

/** From `[{ index, relevance_score | score }]`, every index once. */
function indexedScores(items: unknown, count: number): number[] {
  if (!Array.isArray(items)) throw unusable("there is no list of results");
  if (items.length !== count) throw unusable(`there are ${items.length} results for ${count} passages`);
  const scores = new Array<number | undefined>(count).fill(undefined);
  for (const item of items as unknown[]) {
    const index = fieldOf(item, "index");
    if (typeof index !== "number" || !Number.isInteger(index) || index < 0 || index >= count)
      throw unusable(`a result has the index ${JSON.stringify(index)}, with ${count} passages`);
    if (scores[index] !== undefined) throw unusable(`passage ${index} has two results`);
    scores[index] = finite(fieldOf(item, "relevance_score") ?? fieldOf(item, "score"), index);
  }
  return scores as number[];
}

function finite(score: unknown, index: number): number {
  if (typeof score === "number" && Number.isFinite(score)) return score;
  throw unusable(`the score of passage ${index} is ${JSON.stringify(score) ?? "missing"}, no finite number`);
}

function unusable(why: string): ServiceFailure {
  return new ServiceFailure(`the answer cannot be used: ${why}`);
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

/** The `contents` which that server shows its model as this passage, wherever there are any: `(Title: a) b` is sent as a, line break, b. */
function contentsOf(passage: string): string {
  const [, title, text] = /^\(Title: ([^\n]*?)\) ([^]*)$/.exec(passage) ?? [undefined, "", passage];
  return `${title}\n${text}`;
}

/** What that server makes of `contents`. */
function shownAs(contents: string): string {
  const [title, ...lines] = contents.split("\n");
  return `(Title: ${title}) ${lines.join("\n")}`;
}
