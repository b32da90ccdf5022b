/** @file Search-R1's `/retrieve`, health and metrics over any engine, as a function from requests to answers. Connections are `http/server`'s. */
import { isRefusal } from "../../http/chunks.js";
import type { AccessSettings } from "../../http/server/access.js";
import {
  answerAt,
  json,
  metricsPage,
  NotServed,
  type AnswerPieces,
  type FrontDoor,
  type HttpService,
  type ServiceAnswer,
  type ServiceRequest,
} from "../../http/server/service.js";
import { SearchError } from "../engine.js";
import type { PassageList, SearchEngine } from "../engine.js";
import { Coalescer } from "../middleware/coalesce.js";
import { firstOf, layerOf } from "../middleware/wrap.js";
import { WireError, fromRequest, toItem } from "./wire.js";
import type { RequestLimits, RetrieveRequest } from "./wire.js";
import { ServerMetrics } from "./metrics.js";

/** What a search server takes, and of whom. */
export interface SearchServiceSettings extends RequestLimits, AccessSettings {
  /** Largest request body. Bytes. */
  maxBodyBytes: number;
  /** Searches under way beyond which further ones are turned away with 503 and `retry-after`. Those whose bodies are still read do not count. */
  maxInFlight: number;
  /**
   * Passages that all searches under way ask for together, beyond which further searches get 503. One search alone may ask for more, and
   * those for at most `maxPassagesInFlight / maxInFlight` are not turned away for it.
   */
  maxPassagesInFlight: number;
  /** Longest time for one search; 503 after that. Milliseconds. */
  timeoutMs: number;
  /** Most queries of requests that are searched together; 1: each request alone. */
  batchQueries: number;
  /** Batches at the engine at once. */
  batchesUnderWay: number;
}

const defaultService: SearchServiceSettings = {
  defaultK: 3,
  maxK: 100,
  // The original sends a whole batch at once: 512 prompts × 5 rollouts.
  maxQueries: 8192,
  maxQueryLength: 20_000,
  // That batch with ten passages each. At 100 words a passage it makes 18 MB.
  maxPassages: 25_600,
  maxBodyBytes: 16 * 1024 * 1024,
  maxInFlight: 1024,
  maxPassagesInFlight: 16 * 25_600,
  timeoutMs: 120_000,
  batchQueries: 256,
  batchesUnderWay: 2,
  token: "",
  allowedHosts: "any",
  allowedOrigins: [],
};

const example = { queries: ["What is the capital of Peru?"], topk: 3, return_scores: true };

/** Requests to answers, over one engine. */
export class SearchService implements HttpService {
  readonly settings: SearchServiceSettings;
  readonly #startedAt = performance.now();
  readonly metrics = new ServerMetrics();
  readonly #door: FrontDoor;
  #engine: SearchEngine | undefined;
  #batches: Coalescer<PassageList> | undefined;
  #failedOpening: unknown;
  #isDraining = false;
  /** Passages that the searches under way ask for. */
  #passages = 0;

  /** @param engine may still be opening: until then searches are answered with 503 */
  constructor(engine: SearchEngine | Promise<SearchEngine>, given: Partial<SearchServiceSettings> = {}) {
    this.settings = { ...defaultService, ...given };
    this.#door = {
      access: this.settings,
      routes: new Map([
        ["/retrieve", { method: "POST", answer: (request, id) => this.#timedSearch(request, id) }],
        ["/health", { method: "GET", isOpen: true, answer: (_, id) => this.#health(id) }],
        ["/metrics", { method: "GET", answer: (_, id) => this.#metricsPage(id) }],
      ]),
      refuse: (status, id, message, headers) =>
        failure(status, id, isTeachable(status) ? teach(message) : { message }, headers),
    };
    if (engine instanceof Promise)
      engine.then(
        (opened) => this.#open(opened),
        (error: unknown) => (this.#failedOpening = error),
      );
    else this.#open(engine);
  }

  /** From now on searches are turned away, those that wait for the engine too; those that it searches are answered. */
  drain(): void {
    this.#isDraining = true;
    this.#batches?.abandonWaiting(new NotServed(503, unreadyReasons.draining));
  }

  get isDraining(): boolean {
    return this.#isDraining;
  }

  handle(request: ServiceRequest): Promise<ServiceAnswer> {
    return answerAt(this.#door, request);
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

  #health(id: string): ServiceAnswer {
    const status = this.#status;
    const { requests, queries, failures, inFlight } = this.metrics;
    const uptimeSeconds = Math.round((performance.now() - this.#startedAt) / 1000);
    const engine = this.#engine?.name ?? "";
    const body = { status, engine, requests, queries, failures, inFlight, uptimeSeconds };
    return json(status === "ok" ? 200 : 503, id, body);
  }

  #metricsPage(id: string): ServiceAnswer {
    const { calls: batches = 0, waiting = 0 } = this.#batches ?? {};
    return metricsPage(id, this.metrics.page(this.#status === "ok", batches, waiting, this.#engine?.counts?.() ?? {}));
  }

  async #timedSearch(request: ServiceRequest, id: string): Promise<ServiceAnswer> {
    const started = performance.now();
    let answer: ServiceAnswer;
    try {
      answer = await this.#search(request, id);
    } catch (error) {
      answer = this.#failed(error, request, id);
    }
    this.metrics.answered(answer.status, performance.now() - started);
    return answer;
  }

  async #search(request: ServiceRequest, id: string): Promise<ServiceAnswer> {
    const { maxInFlight, maxPassagesInFlight, maxBodyBytes } = this.settings;
    this.#readyBatches();
    const text = await request.body(maxBodyBytes);
    const batches = this.#readyBatches();
    const metrics = this.metrics;
    if (metrics.inFlight >= maxInFlight)
      throw new NotServed(503, `The server answers ${maxInFlight} searches at once, and so many are under way.`);
    const asked = fromRequest(parse(text), this.settings);
    const passages = asked.queries.length * asked.topk;
    // One that asks for no more than its share has room in any case.
    const isLarge = passages > maxPassagesInFlight / maxInFlight;
    if (isLarge && this.#passages > 0 && this.#passages + passages > maxPassagesInFlight)
      throw new NotServed(503, `The searches under way ask for ${this.#passages} of ${maxPassagesInFlight} passages.`);
    metrics.requests++;
    metrics.queries += asked.queries.length;
    if (passages === 0) return json(200, id, { result: [] });
    metrics.inFlight++;
    this.#passages += passages;
    try {
      const body = bodyOf(await this.#answersTo(asked, batches, request), asked, request);
      return { ...json(200, id, undefined), body };
    } finally {
      metrics.inFlight--;
      this.#passages -= passages;
    }
  }

  /** @throws NotServed unless searches are answered */
  #readyBatches(): Coalescer<PassageList> {
    const status = this.#status;
    if (this.#batches === undefined || status !== "ok")
      throw new NotServed(503, unreadyReasons[status] ?? "The server is not ready.");
    return this.#batches;
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
    if (error instanceof NotServed) return this.#refused(error, id);
    // A client that has gone is no failure of ours and reads no answer.
    if (isGone()) return failure(499, id, { message: "The client went away." });
    this.metrics.failures++;
    const message = error instanceof Error ? error.message : String(error);
    // The engine's own server does not take these queries: asking again is of no use.
    if (error instanceof SearchError && isRefusal(error)) return failure(error.status ?? 400, id, { message });
    return error instanceof SearchError && error.isRetryable ? busy(id, message) : failure(500, id, { message });
  }

  #refused({ status, message }: NotServed, id: string): ServiceAnswer {
    if (status !== 503) return failure(status, id, teach(message));
    if (this.#status === "ok") this.metrics.overloads++;
    return busy(id, message);
  }
}

const unreadyReasons: Readonly<Record<string, string>> = {
  opening: "The engine is being opened.",
  failed: "The engine could not be opened.",
  draining: "The server is ending.",
};

/** What an example helps with: another path, method or content type. */
function isTeachable(status: number): boolean {
  return status === 404 || status === 405 || status === 415;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new WireError("body", `must be JSON (${(error as Error).message})`);
  }
}

/** Characters after which a piece of an answer is sent. */
const pieceLength = 256 * 1024;

/**
 * The answer as JSON: text where it is small, else pieces, so that no more of it than one piece is in memory beside the passages.
 * @throws NotServed where there is no room for it
 */
function bodyOf(
  lists: PassageList[],
  asked: RetrieveRequest,
  { reserve }: Pick<ServiceRequest, "reserve">,
): string | AnswerPieces {
  // Writing takes the lists out.
  const all = [...lists];
  const pieces = piecesOf(lists, asked);
  const first = pieces.next();
  if (!reserve(first.done ? Buffer.byteLength(first.value) : bytesOf(all)))
    throw new NotServed(503, "The answers that clients have yet to read fill the room that there is for them.");
  return first.done ? first.value : following(first.value, pieces);
}

function* following(first: string, pieces: AnswerPieces): Generator<string, string> {
  yield first;
  for (let next = pieces.next(); ; next = pieces.next()) {
    if (next.done) return next.value;
    yield next.value;
  }
}

/** Takes the lists out of the array as it writes them. */
function* piecesOf(lists: PassageList[], { topk, return_scores }: RetrieveRequest): Generator<string, string> {
  let piece = '{"result":[';
  for (let query = 0; query < lists.length; query++) {
    piece += query === 0 ? "[" : ",[";
    const list = firstOf(lists[query], topk);
    lists[query] = [];
    for (let rank = 0; rank < list.length; rank++) {
      if (rank > 0) piece += ",";
      piece += JSON.stringify(toItem(list[rank], return_scores));
      if (piece.length < pieceLength) continue;
      yield piece;
      piece = "";
    }
    piece += "]";
  }
  return `${piece}]}`;
}

/** What the passages' texts take while they wait: the more of their UTF-8 and of JavaScript's two bytes a character, of which ASCII takes one. */
function bytesOf(lists: readonly PassageList[]): number {
  let bytes = 0;
  for (const list of lists)
    for (const { title, text, url = "", section = "" } of list)
      for (const part of [title, text, url, section]) bytes += part === "" ? 0 : waitingBytes(part);
  return bytes;
}

function waitingBytes(text: string): number {
  const bytes = Buffer.byteLength(text);
  return bytes === text.length ? bytes : Math.max(bytes, 2 * text.length);
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
