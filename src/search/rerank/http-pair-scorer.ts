/** @file A `/rerank` service as what judges pairs. */
import { mapConcurrent } from "../../async.js";
import type { Pair, PairScorer } from "../engine.js";
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

interface Chunk {
  query: string;
  passages: string[];
  /** Where the passages stand among the pairs. */
  places: number[];
}

/** Each request holds one query and passages of its own alone. Failures are `SearchError`s; the key is in none of them. */
export class HttpPairScorer implements PairScorer {
  readonly name: string;
  readonly #model: string;
  readonly #chunks: Pick<HttpScorerSettings, "chunkSize" | "concurrency">;
  readonly #service: Service;
  #dialect: DialectName | undefined;
  /** Requests in dialects that the service does not speak: they are no failures of it. */
  #misunderstood = 0;

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

  async score(pairs: readonly Pair[], { signal }: SearchOptions = {}): Promise<number[]> {
    return this.#service.call(signal, (whole) => this.#scoreAll(pairs, whole));
  }

  counts(): Readonly<Record<string, number>> {
    const counts = this.#service.counts();
    return { ...counts, failures: counts.failures - this.#misunderstood };
  }

  /** Ends requests under way; they fail with a `SearchError`. */
  async close(): Promise<void> {
    this.#service.close();
  }

  async #scoreAll(pairs: readonly Pair[], signal: AbortSignal): Promise<number[]> {
    const { chunkSize, concurrency } = this.#chunks;
    const scores = new Array<number>(pairs.length);
    const score = async (chunk: Chunk, until: AbortSignal): Promise<void> => {
      const answer = await this.#scoreChunk(chunk, until);
      for (const [index, place] of chunk.places.entries()) scores[place] = answer[index];
    };
    const chunks = chunksOf(pairs, chunkSize);
    // The first request alone where it also finds out how the service is spoken to.
    if (this.#dialect === undefined) for (const first of chunks.splice(0, 1)) await score(first, signal);
    await mapConcurrent(chunks, concurrency, score, { signal });
    return scores;
  }

  async #scoreChunk(chunk: Chunk, signal: AbortSignal): Promise<number[]> {
    if (this.#dialect !== undefined) return this.#ask(this.#dialect, chunk, signal);
    const refused: string[] = [];
    for (const name of dialectNames) {
      try {
        const scores = await this.#ask(name, chunk, signal);
        this.#dialect = name;
        return scores;
      } catch (error) {
        if (!(error instanceof SearchError) || !notUnderstood.has(error.status ?? 0)) throw error;
        this.#misunderstood++;
        refused.push(`as ${name}: ${error.message}`);
      }
    }
    const why = `it understands none of the ways in which such services are asked (${refused.join(" ")})`;
    throw this.#service.error(why, {});
  }

  #ask(name: DialectName, { query, passages }: Chunk, signal: AbortSignal): Promise<number[]> {
    const dialect = dialects[name];
    const body = JSON.stringify(dialect.request(query, passages, this.#model));
    return this.#service.json({ url: this.#service.url, body }, signal, (answer) => dialect.scores(answer, passages));
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
      // JSON can hold halves of surrogate pairs, UTF-8 cannot: servers written in Python fail on them.
      const passages = places.map((place) => pairs[place].passage.toWellFormed());
      chunks.push({ query: query.toWellFormed(), places, passages });
    }
  }
  return chunks;
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
