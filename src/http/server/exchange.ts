/** @file One HTTP request and its answer: the body is read within bounds, the answer sent as fast as its client reads. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { pipeline } from "node:stream/promises";
import { TimeSlice } from "../../async.js";
import type { Budget, Holding } from "./budget.js";
import type { Connections } from "./connections.js";
import { NotServed } from "./service.js";
import type { AnswerPieces, AnswerStream, HttpService, ServiceAnswer } from "./service.js";

/** What a piece of a body takes in memory beside its bytes, about. */
const pieceOverhead = 1_024;

/** Most pieces of a body: 16 MiB in packets of a slow network are 12,000. Chunks of a single byte each would cost more time than an answer. */
const maxPieces = 20_000;

/** Characters of an answer that is handed to Node as text. */
const longestText = 16_384;

/** Longest body that is read to its end, and forgotten, after it was refused for its length. Bytes. */
const longestRefused = 64 * 1024 * 1024;

/** What the requests of a server have in common. */
export interface Shared {
  service: HttpService;
  connections: Connections;
  /** Bytes of bodies, while they are read and answered. */
  requests: Budget;
  /** Bytes of answers, until they are sent. */
  answers: Budget;
}

/** One request and its answer. */
export class Exchange {
  readonly #shared: Shared;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  #asked: Holding | undefined;
  #unsent: Holding | undefined;
  /** Tells the service that the client has gone. */
  #leave: ((reason: Error) => void) | undefined;

  constructor(shared: Shared, request: IncomingMessage, response: ServerResponse) {
    this.#shared = shared;
    this.#request = request;
    this.#response = response;
  }

  async run(): Promise<void> {
    const [request, response] = [this.#request, this.#response];
    const { service, connections, requests, answers } = this.#shared;
    response.once("close", () => {
      connections.end(request.socket);
      if (this.#unsent !== undefined) answers.release(this.#unsent);
      // Every response closes: only one that closes early makes an error, which takes longer to make than a small answer.
      if (!response.writableFinished) this.#leave?.(new Error("the client went away"));
    });
    try {
      const reply = await service.handle({
        method: request.method ?? "GET",
        path: (request.url ?? "/").replace(/\?.*$/, ""),
        header: (name) => request.headers[name]?.toString(),
        body: (maxBytes) => this.#body(maxBytes),
        reserve: (bytes) => this.#reserve(bytes),
        // Also closed after the end of an answer; then there is no listener left.
        isGone: () => response.closed,
        onGone: (leave) => void (this.#leave = leave),
      });
      if (this.#asked !== undefined) requests.release(this.#asked);
      await this.#send(reply);
    } catch {
      // The connection broke: there is no client to answer.
      response.destroy();
    }
  }

  #body(maxBytes: number): Promise<string> {
    const request = this.#request;
    const { connections, requests } = this.#shared;
    if (Number(request.headers["content-length"] ?? 0) > maxBytes) return Promise.reject(tooLarge(maxBytes));
    return new Promise((resolve, reject) => {
      const pieces: Buffer[] = [];
      let bytes = 0;
      const holding = requests.hold(0, () => fail(this.#late()));
      const fail = (reason: Error): void => {
        pieces.length = 0;
        request.off("data", take).off("end", finish);
        // The connection ends with the answer: nothing more is read.
        request.pause();
        reject(reason);
      };
      const take = (piece: Buffer): void => {
        bytes += piece.length;
        if (bytes > maxBytes || pieces.length >= maxPieces) fail(tooLarge(maxBytes));
        else if (holding === undefined || !requests.grow(holding, piece.length + pieceOverhead)) fail(noRoom());
        else pieces.push(piece);
      };
      const finish = (): void => {
        if (holding !== undefined) requests.keep(holding);
        connections.begin(request.socket);
        resolve((pieces.length === 1 ? pieces[0] : Buffer.concat(pieces)).toString("utf8"));
      };
      this.#asked = holding;
      request.on("data", take).on("end", finish).on("error", reject);
    });
  }

  #late(): NotServed {
    return this.#shared.service.isDraining
      ? new NotServed(503, "The server is ending.")
      : new NotServed(408, "The body of the request has not come in time.");
  }

  #reserve(bytes: number): boolean {
    // One whose client has gone is never sent.
    if (this.#response.closed) return true;
    this.#unsent = this.#shared.answers.hold(bytes, () => this.#response.destroy());
    return this.#unsent !== undefined;
  }

  async #send({ status, headers, body }: ServiceAnswer): Promise<void> {
    const [request, response] = [this.#request, this.#response];
    // Node reads what is left of a request that was refused, and keeps the connection: a client that is cut while it sends sees no answer. Not for
    // as long as this one may be.
    const isLong = !(Number(request.headers["content-length"]) <= longestRefused);
    const isEndless = (status === 413 && isLong) || (this.#asked !== undefined && !request.complete);
    if (isEndless || this.#shared.service.isDraining) response.setHeader("connection", "close");
    if (typeof body !== "string") {
      response.writeHead(status, headers);
      return pipeline(Symbol.asyncIterator in body ? this.#streamed(body) : this.#paced(body), response);
    }
    // A short one as text: Node then sends it in one piece with the headers. Of a long text that waits for its client Node would hold three copies.
    const sent = body.length > longestText ? Buffer.from(body) : body;
    if (status !== 204) headers["content-length"] = `${Buffer.byteLength(sent)}`;
    response.writeHead(status, headers);
    response.end(sent);
  }

  /** Goes on when the client has read, and lets other work run in between. */
  async *#paced(pieces: AnswerPieces): AsyncGenerator<Buffer, void> {
    const slice = new TimeSlice(8);
    for (let next = pieces.next(); ; next = pieces.next()) {
      const piece = Buffer.from(next.value);
      yield piece;
      if (next.done) return;
      if (this.#unsent !== undefined) this.#shared.answers.shrink(this.#unsent, piece.length);
      if (slice.isOver) await slice.next();
    }
  }

  /** Each piece as soon as it is made. A client that does not read it holds room, and is cut like others; one that waits for the service is not. */
  async *#streamed(pieces: AnswerStream): AsyncGenerator<Buffer, void> {
    const { answers } = this.#shared;
    for await (const text of pieces) {
      const piece = Buffer.from(text);
      if (!this.#reserve(piece.length)) throw noRoom();
      yield piece;
      if (this.#unsent !== undefined) answers.release(this.#unsent);
    }
  }
}

function tooLarge(maxBytes: number): NotServed {
  const bounds = `${maxBytes} bytes, or comes in more than ${maxPieces} pieces`;
  return new NotServed(413, `The request is larger than ${bounds}. Send less at once.`);
}

function noRoom(): NotServed {
  return new NotServed(503, "The requests under way fill the room that there is for them.");
}
