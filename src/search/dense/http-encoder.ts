/** @file An encoder behind an OpenAI-style `/v1/embeddings` endpoint: OpenAI, vLLM, TEI, Ollama, llama.cpp, LM Studio, … */
import { UserError } from "../../errors.js";
import { credentialIn } from "../../http/credentials.js";
import { excerpt, postJson, realTools, type HttpTools, type PostSettings } from "../../http/post.js";
import { HttpError, defaultRetry } from "../../http/retry.js";
import { SearchError, checkSignal, type SearchOptions } from "../engine.js";
import { modelNameOf, prefixesOf } from "./conventions.js";
import type { Encoder, EncoderSource, TextKind } from "./encoder.js";

export interface HttpEncoderSettings extends PostSettings {
  /** Sent as a bearer token; "" sends none. Appears in no error. */
  key: string;
  /** Most texts in one request. */
  batchSize: number;
  /** Most requests at once. */
  concurrency: number;
}

const defaults: HttpEncoderSettings = {
  ...defaultRetry,
  timeoutMs: 60_000,
  maxAnswerBytes: 256 * 1024 * 1024,
  headers: {},
  key: "",
  batchSize: 64,
  concurrency: 4,
};

/**
 * Asks for vectors in batches and brings them to length one. Requests that time out, cannot connect, break off, or are answered with 408,
 * 425, 429 or 5xx are tried again; answers that are not what was asked for fail at once. Every failure is a `SearchError`.
 */
export class HttpEncoder implements Encoder {
  readonly name: string;
  readonly source: EncoderSource;
  readonly #url: string;
  readonly #model: string;
  readonly #prefixes: Readonly<Record<TextKind, string>>;
  readonly #settings: HttpEncoderSettings;
  readonly #tools: HttpTools;
  readonly #closed = new AbortController();
  #width = 0;
  #encoded = 0;
  #requests = 0;

  /** @throws UserError for an address that is none, or without a model's name */
  constructor(source: EncoderSource, settings: Partial<HttpEncoderSettings> = {}, tools: Partial<HttpTools> = {}) {
    this.#url = embeddingsUrl(source.location);
    if (source.model === undefined || source.model === "")
      throw new UserError(
        `The endpoint ${this.#url} needs the name of a model, like text-embedding-3-small. Give it as --encoder-model NAME (search.encoderModel in a run file).`,
      );
    if (source.pooling !== undefined || source.maxTokens !== undefined)
      throw new UserError(
        "An /v1/embeddings endpoint pools and cuts texts by itself: leave out pooling and maxTokens.",
      );
    this.source = { ...source, location: this.#url };
    this.#model = source.model;
    const usual = prefixesOf(modelNameOf(`hf:${source.model}`));
    this.#prefixes = { query: source.queryPrefix ?? usual.query, passage: source.passagePrefix ?? usual.passage };
    this.#settings = { ...defaults, ...settings };
    this.#tools = { ...realTools, ...tools };
    // Not the address: the same model may be served elsewhere tomorrow.
    this.name = `endpoint ${this.#model}, query ${JSON.stringify(this.#prefixes.query)}, passage ${JSON.stringify(this.#prefixes.passage)}`;
  }

  get dimensions(): number {
    return this.#width;
  }

  async encode(texts: readonly string[], kind: TextKind, options: SearchOptions = {}): Promise<Float32Array> {
    checkSignal(options.signal);
    if (this.#closed.signal.aborted) throw this.#error("the encoder is closed", false);
    if (texts.length === 0) return new Float32Array(0);
    const { batchSize, concurrency } = this.#settings;
    const starts = Array.from({ length: Math.ceil(texts.length / batchSize) }, (_, batch) => batch * batchSize);
    const vectors: Float32Array[][] = [];
    // One batch that fails stops the others.
    const failed = new AbortController();
    const signal = AbortSignal.any([failed.signal, this.#closed.signal, ...(options.signal ? [options.signal] : [])]);
    const work = async (): Promise<void> => {
      for (let first = starts.shift(); first !== undefined; first = starts.shift()) {
        const batch = texts.slice(first, first + batchSize).map((text) => this.#prefixes[kind] + text);
        vectors[first / batchSize] = await this.#ask(batch, signal);
      }
    };
    const workers = Array.from({ length: Math.min(concurrency, starts.length) }, work);
    try {
      await Promise.all(workers);
    } catch (error) {
      failed.abort(error);
      await Promise.allSettled(workers);
      throw error;
    }
    this.#encoded += texts.length;
    return this.#joined(vectors.flat());
  }

  counts(): Readonly<Record<string, number>> {
    return { textsEncoded: this.#encoded, encoderRequests: this.#requests };
  }

  /** Ends requests under way; they fail with a `SearchError`. */
  async close(): Promise<void> {
    this.#closed.abort(this.#error("the encoder is closed", false));
  }

  async #ask(texts: readonly string[], signal: AbortSignal): Promise<Float32Array[]> {
    // Endpoints refuse the empty text, and halves of surrogate pairs.
    const input = texts.map((text) => (text === "" ? " " : text.replace(/\p{Surrogate}/gu, "\ufffd")));
    const body = JSON.stringify({ model: this.#model, input, encoding_format: "float" });
    const { key, headers, ...settings } = this.#settings;
    const authorization: Record<string, string> = key === "" ? {} : { authorization: `Bearer ${key}` };
    this.#requests++;
    let text: string;
    try {
      const post = { ...settings, headers: { ...authorization, ...headers } };
      text = await postJson(this.#url, body, post, this.#tools, { signal });
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      throw this.#error(error.why, error.isRetryable, error.status, error, error.tries);
    }
    return this.#parse(text, texts.length);
  }

  #parse(text: string, count: number): Float32Array[] {
    let answer: unknown;
    try {
      answer = JSON.parse(text);
    } catch (cause) {
      throw this.#error(`the answer is not JSON: ${excerpt(text)}`, false, 200, cause);
    }
    const refuse = (why: string): SearchError =>
      this.#error(`the answer is not what /v1/embeddings promises: ${why}`, false, 200);
    const data = (answer as { data?: unknown } | null)?.data;
    if (!Array.isArray(data)) throw refuse('it has no list "data"');
    if (data.length !== count) throw refuse(`it has ${data.length} vectors for ${count} texts`);
    const vectors: Float32Array[] = [];
    for (const [place, item] of (data as { index?: unknown; embedding?: unknown }[]).entries()) {
      const index = item?.index ?? place;
      if (typeof index !== "number" || !Number.isSafeInteger(index) || index < 0 || index >= count)
        throw refuse(`the index of vector ${place} is ${JSON.stringify(index)}`);
      if (vectors[index] !== undefined) throw refuse(`the index ${index} stands there twice`);
      vectors[index] = unit(
        numbersOf(item?.embedding, (why) => refuse(`vector ${index} ${why}`)),
        (why) => refuse(`vector ${index} ${why}`),
      );
    }
    for (const [index, vector] of vectors.entries()) {
      if (this.#width === 0) this.#width = vector.length;
      if (vector.length !== this.#width)
        throw refuse(`vector ${index} has ${vector.length} numbers where others have ${this.#width}`);
    }
    return vectors;
  }

  #joined(vectors: readonly Float32Array[]): Float32Array {
    const all = new Float32Array(vectors.length * this.#width);
    for (const [row, vector] of vectors.entries()) all.set(vector, row * this.#width);
    return all;
  }

  #error(why: string, isRetryable: boolean, status?: number, cause?: unknown, tries = 1): SearchError {
    const { key } = this.#settings;
    // Servers quote keys, and so does the cause.
    const shown = key === "" ? why : why.replaceAll(key, "[key]");
    return new SearchError(
      `Embeddings endpoint ${this.#url}: ${shown}.${tries === 1 ? "" : ` (tried ${tries} times)`}`,
      {
        engine: "dense",
        isRetryable,
        url: this.#url,
        status,
        ...(key === "" ? { cause } : {}),
      },
    );
  }
}

/** A list of numbers, or base64 of little-endian float32. */
function numbersOf(embedding: unknown, refuse: (why: string) => SearchError): Float32Array | Float64Array {
  if (typeof embedding === "string") {
    const bytes = Buffer.from(embedding, "base64");
    if (bytes.length === 0 || bytes.length % 4 !== 0) throw refuse("is no base64 of float32 numbers");
    return new Float32Array(new Uint8Array(bytes).buffer);
  }
  if (!Array.isArray(embedding) || embedding.length === 0) throw refuse("is no list of numbers");
  const wrong = embedding.findIndex((value) => typeof value !== "number");
  if (wrong >= 0) throw refuse(`holds ${JSON.stringify(embedding[wrong])} at place ${wrong}`);
  return Float64Array.from(embedding as number[]);
}

function unit(vector: Float32Array | Float64Array, refuse: (why: string) => SearchError): Float32Array {
  let squares = 0;
  for (const value of vector) squares += value * value;
  if (!(squares > 0 && squares < Infinity)) throw refuse("is zero or not finite");
  const length = Math.sqrt(squares);
  return Float32Array.from(vector, (value) => value / length);
}

/** `http://host:port` and `http://host:port/v1` mean the endpoint under them; credentials are refused, since errors show the address. */
function embeddingsUrl(location: string): string {
  let url: URL;
  try {
    url = new URL(location);
  } catch (cause) {
    throw new UserError(`"${location}" is not an address. Write it like http://127.0.0.1:8000/v1/embeddings.`, {
      cause,
    });
  }
  const credential = credentialIn(url);
  if (credential !== undefined)
    throw new UserError(
      `The address of the embeddings endpoint must not hold ${credential}: indexes and errors show it. Put the key into the environment variable EMBEDDINGS_API_KEY.`,
    );
  const plain = url.pathname.replace(/\/+$/, "");
  if (plain === "") url.pathname = "/v1/embeddings";
  else if (plain.endsWith("/v1")) url.pathname = `${plain}/embeddings`;
  return url.toString();
}
