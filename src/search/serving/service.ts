/** @file Search-R1's `/retrieve`, health and metrics over any engine, as a function from requests to answers. Connections are `server.ts`'s. */
import { createHash, randomUUID, timingSafeEqual } from "node:crypto";
import { nextTurn } from "../../async.js";
import { isRefusal } from "../../http/chunks.js";
import { SearchError } from "../engine.js";
import type { PassageList, SearchEngine } from "../engine.js";
import { Coalescer } from "../middleware/coalesce.js";
import { firstOf, layerOf } from "../middleware/wrap.js";
import { WireError, fromRequest, toAnswer } from "./wire.js";
import type { RequestLimits, RetrieveRequest } from "./wire.js";
import { ServerMetrics } from "./metrics.js";

export interface SearchServiceSettings extends RequestLimits {
  /** Largest request body. Bytes. */
  maxBodyBytes: number;
  /** Searches under way beyond which further ones are turned away with 503 and `retry-after`. */
  maxInFlight: number;
  /** Longest time for one search; 503 after that. Milliseconds. */
  timeoutMs: number;
  /** Most queries of requests that are searched together; 1: each request alone. */
  batchQueries: number;
  /** Batches at the engine at once. */
  batchesUnderWay: number;
  /** Searches and metrics need `authorization: Bearer TOKEN`; empty: no token is needed. */
  token: string;
}

const defaultService: SearchServiceSettings = {
  defaultK: 3,
  maxK: 100,
  // The original sends a whole batch at once: 512 prompts × 5 rollouts.
  maxQueries: 8192,
  maxQueryLength: 20_000,
  maxBodyBytes: 16 * 1024 * 1024,
  maxInFlight: 1024,
  timeoutMs: 120_000,
  batchQueries: 256,
  batchesUnderWay: 2,
  token: "",
};

interface ServiceRequest {
  method: string;
  /** Path alone, without what follows a question mark. */
  path: string;
  /** Of a header by its name in small letters. */
  header: (name: string) => string | undefined;
  /** Reads the body, at most `maxBodyBytes` of it. */
  body: (maxBytes: number) => Promise<string>;
  /** Whether the client has gone. */
  isGone: () => boolean;
  /** Calls back with the reason when the client goes. */
  onGone: (leave: (reason: unknown) => void) => void;
}

export interface ServiceAnswer {
  status: number;
  headers: Record<string, string>;
  /** In pieces, so that a large answer is not written in one go. */
  body: readonly string[];
}

/** A body larger than allowed. */
export class TooLarge extends Error {}

/** Milliseconds of writing after which other work on this thread gets its turn. */
const patienceMs = 8;

const example = { queries: ["What is the capital of Peru?"], topk: 3, return_scores: true };

export class SearchService {
  readonly settings: SearchServiceSettings;
  readonly #startedAt = performance.now();
  readonly #metrics = new ServerMetrics();
  #engine: SearchEngine | undefined;
  #batches: Coalescer<PassageList> | undefined;
  #failedOpening: unknown;
  #isDraining = false;

  /** @param engine may still be opening: until then searches are answered with 503 */
  constructor(engine: SearchEngine | Promise<SearchEngine>, given: Partial<SearchServiceSettings> = {}) {
    this.settings = { ...defaultService, ...given };
    if (engine instanceof Promise)
      engine.then(
        (opened) => this.#open(opened),
        (error: unknown) => (this.#failedOpening = error),
      );
    else this.#open(engine);
  }

  /** From now on searches are turned away; those under way are answered. */
  drain(): void {
    this.#isDraining = true;
  }

  /** Answers one request; failures are answers too. */
  async handle(request: ServiceRequest): Promise<ServiceAnswer> {
    const given = request.header("x-request-id");
    const id = given !== undefined && /^[\w.:-]{1,128}$/.test(given) ? given : randomUUID();
    try {
      return await this.#route(request, id);
    } catch (error) {
      return failure(500, id, { message: error instanceof Error ? error.message : String(error) });
    }
  }

  #open(engine: SearchEngine): void {
    const { batchQueries, batchesUnderWay } = this.settings;
    this.#engine = engine;
    const layer = layerOf(engine);
    this.#batches = new Coalescer((queries, k, signal) => layer.search(queries, k, { signal }), {
      share: "same-k",
      maxQueries: batchQueries,
      // Two let the engine search one batch while the answers of the other are written.
      maxCalls: batchesUnderWay,
      retryAlone: true,
    });
  }

  get #status(): "ok" | "opening" | "failed" | "draining" {
    if (this.#isDraining) return "draining";
    if (this.#failedOpening !== undefined) return "failed";
    return this.#engine === undefined ? "opening" : "ok";
  }

  async #route(request: ServiceRequest, id: string): Promise<ServiceAnswer> {
    const { method, path } = request;
    if (path === "/health" && isReading(method)) return this.#health(id);
    if (path !== "/retrieve" && path !== "/metrics")
      return failure(404, id, teach("There are only POST /retrieve, GET /health and GET /metrics."));
    if (!this.#isAllowed(request.header("authorization")))
      return failure(
        401,
        id,
        { message: "Send the server's token as authorization: Bearer TOKEN." },
        { "www-authenticate": "Bearer" },
      );
    if (path === "/metrics")
      return isReading(method) ? this.#metricsPage(id) : failure(405, id, teach("Ask with GET."), { allow: "GET" });
    if (method !== "POST") return failure(405, id, teach("Ask with POST and a JSON body."), { allow: "POST" });
    return this.#timedSearch(request, id);
  }

  #isAllowed(authorization: string | undefined): boolean {
    const { token } = this.settings;
    // Digests have one length, and comparing them tells nothing about how much of a guess was right.
    const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
    return token === "" || timingSafeEqual(digest(authorization ?? ""), digest(`Bearer ${token}`));
  }

  #health(id: string): ServiceAnswer {
    const status = this.#status;
    const { requests, queries, failures, inFlight } = this.#metrics;
    const uptimeSeconds = Math.round((performance.now() - this.#startedAt) / 1000);
    const engine = this.#engine?.name ?? "";
    const body = { status, engine, requests, queries, failures, inFlight, uptimeSeconds };
    return json(status === "ok" ? 200 : 503, id, body);
  }

  #metricsPage(id: string): ServiceAnswer {
    const { calls: batches = 0, waiting = 0 } = this.#batches ?? {};
    const text = this.#metrics.render(this.#status === "ok", batches, waiting, this.#engine?.counts?.() ?? {});
    return {
      status: 200,
      headers: { "content-type": "text/plain; version=0.0.4; charset=utf-8", "x-request-id": id },
      body: [text],
    };
  }

  async #timedSearch(request: ServiceRequest, id: string): Promise<ServiceAnswer> {
    const metrics = this.#metrics;
    const started = performance.now();
    metrics.inFlight++;
    let answer: ServiceAnswer;
    try {
      answer = await this.#search(request, id);
    } catch (error) {
      answer = this.#failed(error, request, id);
    } finally {
      metrics.inFlight--;
    }
    metrics.answered(answer.status, performance.now() - started);
    return answer;
  }

  async #search(request: ServiceRequest, id: string): Promise<ServiceAnswer> {
    const { maxInFlight, maxBodyBytes } = this.settings;
    const batches = this.#batches;
    const status = this.#status;
    if (batches === undefined || status !== "ok") return busy(id, unreadyReasons[status] ?? "The server is not ready.");
    if (this.#metrics.inFlight > maxInFlight) {
      this.#metrics.overloads++;
      return busy(id, `The server answers ${maxInFlight} searches at once, and so many are under way.`);
    }
    const asked = fromRequest(parse(await request.body(maxBodyBytes)), this.settings);
    this.#metrics.requests++;
    this.#metrics.queries += asked.queries.length;
    if (asked.queries.length === 0) return json(200, id, { result: [] });
    const lists = await this.#answersTo(asked, batches, request);
    return { ...json(200, id, undefined), body: await answerBody(lists, asked) };
  }

  /** @throws SearchError of the engine, or when time is up; the reason for which the client went */
  #answersTo(
    { queries, topk }: RetrieveRequest,
    batches: Coalescer<PassageList>,
    request: ServiceRequest,
  ): Promise<PassageList[]> {
    const { timeoutMs } = this.settings;
    return new Promise((resolve, reject) => {
      const leave = batches.ask(queries, topk, {
        resolve: (lists) => (clearTimeout(timer), resolve(lists)),
        reject: (reason) => (clearTimeout(timer), reject(reason as Error)),
      });
      const engine = this.#engine?.name ?? "";
      const late = (): void =>
        leave(new SearchError(`no answer within ${timeoutMs} ms.`, { engine, isRetryable: true }));
      const timer = setTimeout(late, timeoutMs);
      request.onGone(leave);
    });
  }

  #failed(error: unknown, { isGone }: ServiceRequest, id: string): ServiceAnswer {
    if (error instanceof WireError)
      return failure(400, id, { message: `${error.message}.`, field: error.field, example });
    if (error instanceof TooLarge)
      return failure(
        413,
        id,
        teach(`The request is larger than ${this.settings.maxBodyBytes} bytes. Send fewer queries at once.`),
      );
    // A client that has gone is no failure of ours and reads no answer.
    if (isGone()) return failure(499, id, { message: "The client went away." });
    this.#metrics.failures++;
    const message = error instanceof Error ? error.message : String(error);
    // The engine's own server does not take these queries: asking again is of no use.
    if (error instanceof SearchError && isRefusal(error)) return failure(error.status ?? 400, id, { message });
    return error instanceof SearchError && error.isRetryable ? busy(id, message) : failure(500, id, { message });
  }
}

const unreadyReasons: Readonly<Record<string, string>> = {
  opening: "The engine is being opened.",
  failed: "The engine could not be opened.",
  draining: "The server is ending.",
};

function isReading(method: string): boolean {
  return method === "GET" || method === "HEAD";
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new WireError("body", `must be JSON (${(error as Error).message})`);
  }
}

/** The answer as JSON, written list by list with pauses: thousands of queries make tens of megabytes. */
async function answerBody(
  lists: readonly PassageList[],
  { topk, return_scores: withScores }: RetrieveRequest,
): Promise<string[]> {
  const pieces: string[] = [];
  let piece = '{"result":[';
  let paused = performance.now();
  for (const [index, list] of lists.entries()) {
    const [written] = toAnswer([firstOf(list, topk)], withScores).result;
    piece += (index === 0 ? "" : ",") + JSON.stringify(written);
    if (piece.length < pieceLength) continue;
    pieces.push(piece);
    piece = "";
    if (performance.now() - paused < patienceMs) continue;
    await nextTurn();
    paused = performance.now();
  }
  pieces.push(`${piece}]}`);
  return pieces;
}

/** Characters after which a piece of an answer is written. */
const pieceLength = 256 * 1024;

function json(status: number, id: string, body: unknown, headers: Record<string, string> = {}): ServiceAnswer {
  return {
    status,
    headers: { "content-type": "application/json", "x-request-id": id, ...headers },
    body: body === undefined ? [] : [JSON.stringify(body)],
  };
}

function failure(status: number, id: string, error: object, headers?: Record<string, string>): ServiceAnswer {
  return json(status, id, { error: { ...error, requestId: id } }, headers);
}

function busy(id: string, message: string): ServiceAnswer {
  return failure(503, id, { message }, { "retry-after": "1" });
}

function teach(message: string): object {
  return { message, example: { request: "POST /retrieve", body: example } };
}
