/** @file An encoder behind an OpenAI-style `/v1/embeddings` endpoint: OpenAI, vLLM, TEI, Ollama, llama.cpp, LM Studio, … */
import { UserError } from "../../errors.js";
import { askChunks, chunksOf, isAnswer, isRefusal } from "../../http/chunks.js";
import { serviceUrl } from "../../http/credentials.js";
import { ServiceFailure, type HttpTools } from "../../http/request.js";
import { defaultService, Service, type ServiceSettings } from "../../http/service.js";
import { SearchError } from "../engine.js";
import {
  joined,
  modelNameOf,
  prefixesFor,
  type EncodeOptions,
  type Encoder,
  type EncoderSource,
  type TextKind,
} from "./encoder.js";

interface HttpEncoderSettings extends ServiceSettings {
  /** Sent as a bearer token; "" sends none. Appears in no error. */
  key: string;
  /** Most texts in one request. */
  batchSize: number;
  /** Most requests of one call at once. */
  concurrency: number;
  /** Longest time for as many requests as are sent at once, retries included: longer lists of texts have more of it. Milliseconds. */
  deadlineMs: number;
}

const defaults: HttpEncoderSettings = {
  ...defaultService,
  timeoutMs: 60_000,
  deadlineMs: 300_000,
  key: "",
  batchSize: 64,
  concurrency: 4,
};

/**
 * Asks for vectors in batches and brings them to length one. Requests that time out, cannot connect, break off, or are answered with 408,
 * 425, 429 or 5xx are tried again; answers that are not what was asked for fail at once; an endpoint that keeps failing is left alone for a
 * while. A batch that is refused is asked for in halves, down to the text that the endpoint does not take. Every failure is a `SearchError`.
 */
export class HttpEncoder implements Encoder {
  readonly name: string;
  readonly source: EncoderSource;
  readonly #model: string;
  readonly #prefixes: Readonly<Record<TextKind, string>>;
  readonly #settings: Pick<HttpEncoderSettings, "concurrency" | "deadlineMs">;
  readonly #service: Service;
  #width = 0;
  #encoded = 0;
  #refused = 0;
  /** Most texts in one request: fewer than were set, once the endpoint has taken a refused batch in parts (text-embeddings-inference: 32). */
  #batchSize: number;

  /** @throws UserError for an invalid address, or one without a model's name */
  constructor(source: EncoderSource, given: Partial<HttpEncoderSettings> = {}, tools: Partial<HttpTools> = {}) {
    const url = embeddingsUrl(source.location);
    if (source.model === undefined || source.model === "")
      throw new UserError(
        `The endpoint ${url} needs the name of a model, like text-embedding-3-small. Give it as --encoder-model NAME (search.encoderModel in a run file).`,
      );
    if (source.pooling !== undefined || source.maxTokens !== undefined)
      throw new UserError(
        "An /v1/embeddings endpoint pools and cuts texts by itself: leave out pooling and maxTokens.",
      );
    this.source = { ...source, location: url };
    this.#model = source.model;
    this.#prefixes = prefixesFor(source, modelNameOf(`hf:${source.model}`));
    const settings = { ...defaults, ...given };
    const authorization: Record<string, string> =
      settings.key === "" ? {} : { authorization: `Bearer ${settings.key}` };
    this.#settings = settings;
    this.#batchSize = settings.batchSize;
    this.#service = new Service(
      {
        title: "Embeddings endpoint",
        url,
        settings: { ...settings, headers: { ...authorization, ...settings.headers } },
        error: (message, details) => new SearchError(message, { engine: "dense", ...details }),
      },
      tools,
    );
    // Not the address: the same model may be served elsewhere tomorrow.
    this.name = `endpoint ${this.#model}, query ${JSON.stringify(this.#prefixes.query)}, passage ${JSON.stringify(this.#prefixes.passage)}`;
  }

  get dimensions(): number {
    return this.#width;
  }

  async encode(
    texts: readonly string[],
    kind: TextKind,
    { signal, onRefused = (place, error) => this.#fail(place, texts, error) }: EncodeOptions = {},
  ): Promise<Float32Array> {
    const batchSize = this.#batchSize;
    const { concurrency, deadlineMs } = this.#settings;
    const prefixed = texts.map((text) => this.#prefixes[kind] + text);
    const rounds = Math.max(1, Math.ceil(texts.length / (batchSize * concurrency)));
    const chunking = { concurrency, sizeOf: (text: string) => text.length };
    let [largest, wasRefused] = [0, false];
    const ask = async (batch: readonly string[], until: AbortSignal): Promise<Float32Array[]> => {
      try {
        const taken = await this.#ask(batch, until);
        largest = Math.max(largest, batch.length);
        return taken;
      } catch (error) {
        wasRefused ||= isRefusal(error);
        throw error;
      }
    };
    const answers = await this.#service.call(
      signal,
      (whole) => askChunks(chunksOf(prefixed, batchSize), chunking, whole, ask),
      rounds * deadlineMs,
    );
    if (wasRefused && answers.every(isAnswer)) this.#batchSize = largest;
    const vectors: Float32Array[] = [];
    for (const [place, answer] of answers.entries()) {
      if (isAnswer(answer)) {
        vectors.push(answer);
        continue;
      }
      this.#refused++;
      onRefused(place, answer.error);
    }
    this.#encoded += vectors.length;
    return joined(vectors);
  }

  counts(): Readonly<Record<string, number>> {
    const { requests, retries, failures, breakerOpen } = this.#service.counts();
    return {
      textsEncoded: this.#encoded,
      encoderRequests: requests,
      encoderRetries: retries,
      encoderFailures: failures,
      encoderBreakerOpen: breakerOpen,
      textsRefused: this.#refused,
    };
  }

  /** Ends requests under way; they fail with a `SearchError`. */
  async close(): Promise<void> {
    this.#service.close("the encoder is closed");
  }

  /** @throws SearchError that says which text it is */
  #fail(place: number, texts: readonly string[], error: Error): never {
    const { isRetryable, url, status } = error as SearchError;
    const [text, which] = [texts[place], texts.length === 1 ? "" : ` ${place + 1} of ${texts.length}`];
    const shown = JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
    const why = `It is asked for text${which}, of ${text.length} characters: ${shown}.`;
    throw new SearchError(`${error.message} ${why}`, { engine: "dense", isRetryable, url, status, cause: error.cause });
  }

  #ask(texts: readonly string[], signal: AbortSignal): Promise<Float32Array[]> {
    // Endpoints refuse the empty text, and halves of surrogate pairs.
    const input = texts.map((text) => (text === "" ? " " : text.toWellFormed()));
    const body = JSON.stringify({ model: this.#model, input, encoding_format: "float" });
    return this.#service.json({ url: this.#service.url, body }, signal, (answer) => this.#read(answer, texts.length));
  }

  #read(answer: unknown, count: number): Float32Array[] {
    const data = (answer as { data?: unknown } | null)?.data;
    if (!Array.isArray(data)) throw refusal('it has no list "data"');
    if (data.length !== count) throw refusal(`it has ${data.length} vectors for ${count} texts`);
    const vectors: Float32Array[] = [];
    for (const [place, item] of (data as { index?: unknown; embedding?: unknown }[]).entries()) {
      const index = item?.index ?? place;
      if (typeof index !== "number" || !Number.isSafeInteger(index) || index < 0 || index >= count)
        throw refusal(`the index of vector ${place} is ${JSON.stringify(index)}`);
      if (vectors[index] !== undefined) throw refusal(`the index ${index} stands there twice`);
      vectors[index] = unit(numbersOf(item?.embedding, index), index);
    }
    for (const [index, vector] of vectors.entries()) {
      if (this.#width === 0) this.#width = vector.length;
      if (vector.length !== this.#width)
        throw refusal(`vector ${index} has ${vector.length} numbers where others have ${this.#width}`);
    }
    return vectors;
  }
}

function refusal(why: string): ServiceFailure {
  return new ServiceFailure(`the answer is not what /v1/embeddings promises: ${why}`);
}

/** A list of numbers, or base64 of little-endian float32. */
function numbersOf(embedding: unknown, index: number): Float32Array | Float64Array {
  if (typeof embedding === "string") {
    const bytes = Buffer.from(embedding, "base64");
    if (bytes.length === 0 || bytes.length % 4 !== 0) throw refusal(`vector ${index} is no base64 of float32 numbers`);
    return new Float32Array(new Uint8Array(bytes).buffer);
  }
  if (!Array.isArray(embedding) || embedding.length === 0) throw refusal(`vector ${index} is no list of numbers`);
  const wrong = embedding.findIndex((value) => typeof value !== "number");
  if (wrong >= 0) throw refusal(`vector ${index} holds ${JSON.stringify(embedding[wrong])} at place ${wrong}`);
  return Float64Array.from(embedding as number[]);
}

function unit(vector: Float32Array | Float64Array, index: number): Float32Array {
  let squares = 0;
  for (const value of vector) squares += value * value;
  if (!(squares > 0 && squares < Infinity)) throw refusal(`vector ${index} is zero or not finite`);
  const length = Math.sqrt(squares);
  return Float32Array.from(vector, (value) => value / length);
}

/** `http://host:port` and `http://host:port/v1` mean the endpoint under them; credentials are refused, since errors show the address. */
function embeddingsUrl(location: string): string {
  const url = serviceUrl(location, {
    name: "The address of the embeddings endpoint",
    example: "http://127.0.0.1:8000/v1/embeddings",
    keyAdvice: "Put the key into the environment variable EMBEDDINGS_API_KEY.",
  });
  const path = url.pathname.replace(/\/+$/, "");
  if (path === "") url.pathname = "/v1/embeddings";
  else if (path.endsWith("/v1")) url.pathname = `${path}/embeddings`;
  return url.href;
}
