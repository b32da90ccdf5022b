/**
 * @file Models under names behind `/v1/chat/completions` and `/v1/models`, with health and metrics, as a function from requests to answers.
 * Connections are `http/server`'s; what a model does with a request is the model's.
 */
import type { AccessSettings } from "../http/server/access.js";
import { Histogram, MetricsText, RequestMetrics } from "../http/server/metrics.js";
import {
  answerAt,
  json,
  metricsPage,
  NotServed,
  type FrontDoor,
  type HttpService,
  type Route,
  type ServiceAnswer,
  type ServiceRequest,
} from "../http/server/service.js";
import { ApiError, apiErrorOf, errorAnswer } from "./api-error.js";
import {
  completionOf,
  eventsOf,
  type ChoiceDelta,
  type ChoiceDeltas,
  type CompletionHead,
  type Usage,
} from "./chat-reply.js";
import { readChatRequest, type ChatRequest } from "./chat-request.js";

/** What answers chats. */
export interface ChatModel {
  /** What `/v1/models` tells of it beside its name. */
  readonly details?: Readonly<Record<string, unknown>>;
  /**
   * Works on one request. What is thrown before the first piece becomes a status: `ApiError` its own, `UserError` 400, anything else 500.
   * @param signal aborts when the client goes, or the server can wait no longer
   */
  chat(request: ChatRequest, signal: AbortSignal): ChoiceDeltas;
}

/** What a server of models takes, and of whom. */
export interface ChatServiceSettings extends AccessSettings {
  /** Largest request body. Bytes. */
  maxBodyBytes: number;
  /** Requests under way beyond which further ones are turned away with 429 and `retry-after`. */
  maxInFlight: number;
}

const defaults: ChatServiceSettings = {
  maxBodyBytes: 4 * 1024 * 1024,
  maxInFlight: 64,
  token: "",
  allowedHosts: "any",
  allowedOrigins: [],
};

/** Answers take longer than searches. Seconds. */
const longestBounds = [60, 120, 300, 600];

/** Requests to answers, over named models. */
export class ChatService implements HttpService {
  readonly settings: ChatServiceSettings;
  readonly metrics = new RequestMetrics(longestBounds);
  readonly #firstPieces = new Histogram(longestBounds);
  readonly #tokens = { prompt: 0, completion: 0 };
  #cancelled = 0;
  readonly #models: ReadonlyMap<string, ChatModel | Promise<ChatModel>>;
  readonly #opened = new Map<string, ChatModel>();
  #hasFailed = false;
  readonly #door: FrontDoor;
  readonly #startedAt = performance.now();
  readonly #created = Math.floor(Date.now() / 1000);
  #isDraining = false;

  /** @param models may still be opening: until then their requests are answered with 503 */
  constructor(models: ReadonlyMap<string, ChatModel | Promise<ChatModel>>, given: Partial<ChatServiceSettings> = {}) {
    this.settings = { ...defaults, ...given };
    this.#models = models;
    for (const [name, model] of models) {
      if (model instanceof Promise)
        model.then(
          (opened) => this.#opened.set(name, opened),
          () => (this.#hasFailed = true),
        );
      else this.#opened.set(name, model);
    }
    this.#door = {
      access: this.settings,
      routes: new Map<string, Route>([
        ["/v1/chat/completions", { method: "POST", answer: (request, id) => this.#timed(request, id) }],
        ["/v1/models", { method: "GET", answer: (_, id) => this.#list(id) }],
        ...[...models.keys()].map((name): [string, Route] => [
          `/v1/models/${encodeURIComponent(name)}`,
          { method: "GET", answer: (_, id) => json(200, id, this.#card(name)) },
        ]),
        ["/health", { method: "GET", isOpen: true, answer: (_, id) => this.#health(id) }],
        ["/metrics", { method: "GET", answer: (_, id) => metricsPage(id, this.#metricsText()) }],
      ]),
      refuse: (status, id, message, headers) => errorAnswer(new ApiError(status, message), id, headers),
    };
  }

  handle(request: ServiceRequest): Promise<ServiceAnswer> {
    return answerAt(this.#door, request);
  }

  drain(): void {
    this.#isDraining = true;
  }

  get isDraining(): boolean {
    return this.#isDraining;
  }

  get #status(): "ok" | "opening" | "failed" | "draining" {
    if (this.#isDraining) return "draining";
    if (this.#hasFailed) return "failed";
    return this.#opened.size < this.#models.size ? "opening" : "ok";
  }

  #health(id: string): ServiceAnswer {
    const status = this.#status;
    const { requests, failures, inFlight } = this.metrics;
    const uptimeSeconds = Math.round((performance.now() - this.#startedAt) / 1000);
    const body = { status, models: [...this.#models.keys()], requests, failures, inFlight, uptimeSeconds };
    return json(status === "ok" ? 200 : 503, id, body);
  }

  #list(id: string): ServiceAnswer {
    return json(200, id, { object: "list", data: [...this.#models.keys()].map((name) => this.#card(name)) });
  }

  #card(name: string): object {
    return {
      id: name,
      object: "model",
      created: this.#created,
      owned_by: "sleuth",
      ...this.#opened.get(name)?.details,
    };
  }

  #metricsText(): string {
    const page = new MetricsText("sleuth_model");
    this.metrics.render(page, "completions", this.#status === "ok");
    page.one("prompt_tokens_total", "counter", "Tokens of prompts and of what was found.", this.#tokens.prompt);
    page.one("completion_tokens_total", "counter", "Tokens that the models wrote.", this.#tokens.completion);
    page.one("cancelled_total", "counter", "Completions whose clients went away.", this.#cancelled);
    page.many(
      "first_piece_seconds",
      "histogram",
      "Time from a request's arrival to the first piece of its answer.",
      this.#firstPieces.samples(),
    );
    return page.toString();
  }

  /** Streams are timed to their end, and counted by the status that they began with. */
  async #timed(request: ServiceRequest, id: string): Promise<ServiceAnswer> {
    const started = performance.now();
    const answered = (status: number): void => this.metrics.answered(status, performance.now() - started);
    try {
      const answer = await this.#complete(request, id, { started, ended: () => answered(200) });
      if (typeof answer.body === "string") answered(answer.status);
      return answer;
    } catch (error) {
      const failure = this.#failed(error, request);
      answered(failure.status);
      return errorAnswer(failure, id);
    }
  }

  async #complete(
    request: ServiceRequest,
    id: string,
    { started, ended }: { started: number; ended: () => void },
  ): Promise<ServiceAnswer> {
    this.#refuseWhileEnding();
    const asked = readChatRequest(await request.body(this.settings.maxBodyBytes));
    this.#refuseWhileEnding();
    const model = this.#modelOf(asked.model);
    const { metrics } = this;
    const { maxInFlight } = this.settings;
    if (metrics.inFlight >= maxInFlight)
      throw new ApiError(429, `The server answers ${maxInFlight} requests at once, and so many are under way.`, {
        code: "rate_limit_exceeded",
        retryAfterSeconds: 1,
      });
    metrics.requests++;
    metrics.inFlight++;
    const leaving = new AbortController();
    let isStreaming = false;
    const over = once(() => metrics.inFlight--);
    // Nobody may begin to read a stream whose client goes.
    const closed = once(() => (over(), ended()));
    request.onGone((reason) => {
      this.#cancelled++;
      leaving.abort(reason);
      if (isStreaming) closed();
    });
    const head: CompletionHead = { id: `chatcmpl-${id}`, created: Math.floor(Date.now() / 1000), model: asked.model };
    try {
      if (request.isGone()) throw new ApiError(499, "The client went away.");
      const deltas = this.#counted(model.chat(asked, leaving.signal));
      // What fails at once has a status of its own.
      const first = await deltas.next();
      this.#firstPieces.add((performance.now() - started) / 1000);
      const all = from(first, deltas);
      if (asked.stream) {
        isStreaming = true;
        const headers = { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache" };
        const events = eventsOf(head, this.#watched(all, request), asked);
        const body = atEnd(events, closed);
        return { status: 200, headers: { ...headers, "x-request-id": id }, body };
      }
      const answer = json(200, id, await completionOf(head, all));
      if (!request.reserve(Buffer.byteLength(answer.body)))
        throw new NotServed(503, "The answers that clients have yet to read fill the room that there is for them.");
      return answer;
    } finally {
      if (!isStreaming) over();
    }
  }

  /** @throws ApiError 404 for one that is not served, 503 for one that is not open */
  #modelOf(name: string): ChatModel {
    if (!this.#models.has(name))
      throw new ApiError(404, `There is no model "${name}" here, only ${[...this.#models.keys()].join(", ")}.`, {
        code: "model_not_found",
        param: "model",
      });
    const model = this.#opened.get(name);
    if (model === undefined)
      throw new NotServed(503, this.#hasFailed ? "The model could not be opened." : "The model is being opened.");
    return model;
  }

  /** @throws NotServed when the server ends */
  #refuseWhileEnding(): void {
    if (this.#isDraining) throw new NotServed(503, "The server is ending.");
  }

  /** The same pieces, whose tokens are counted at the end. */
  async *#counted(deltas: ChoiceDeltas): ChoiceDeltas {
    const usage = yield* deltas;
    this.#tokens.prompt += usage.prompt_tokens;
    this.#tokens.completion += usage.completion_tokens;
    return usage;
  }

  /** The same pieces; a failure in a stream that has begun is counted. */
  async *#watched(deltas: ChoiceDeltas, request: ServiceRequest): ChoiceDeltas {
    try {
      return yield* deltas;
    } catch (error) {
      throw this.#failed(error, request);
    }
  }

  #failed(error: unknown, { isGone }: ServiceRequest): ApiError {
    // A client that has gone is no failure of ours and reads no answer.
    if (isGone()) return new ApiError(499, "The client went away.");
    const failure = apiErrorOf(error);
    if (failure.status === 429 || (failure.status === 503 && this.#status === "ok")) this.metrics.overloads++;
    else if (failure.status >= 500 && this.#status === "ok") this.metrics.failures++;
    return failure;
  }
}

/** The first call is done, later ones are not. */
function once(task: () => void): () => void {
  let isDone = false;
  return () => {
    if (!isDone) task();
    isDone = true;
  };
}

async function* from(first: IteratorResult<ChoiceDelta, Usage>, deltas: ChoiceDeltas): ChoiceDeltas {
  if (first.done) return first.value;
  try {
    yield first.value;
    return yield* deltas;
  } finally {
    await deltas.return({ prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 });
  }
}

/** The same pieces; tells when they have ended, also early. */
async function* atEnd(pieces: AsyncIterable<string>, ended: () => void): AsyncGenerator<string, void> {
  try {
    yield* pieces;
  } finally {
    ended();
  }
}
