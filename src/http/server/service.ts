/**
 * @file What a server is to its connections: a function from requests to answers. And what all servers decide before they answer: whether a client
 * may ask at all, which route it asks, and in which form.
 */
import { randomUUID } from "node:crypto";
import { foreignness, hasToken, isPlainJson, pageHeaders, preflightHeaders, type AccessSettings } from "./access.js";

/** Requests to answers. Connections are `listen.ts`'s. */
export interface HttpService {
  /** Answers one request; failures are answers too. */
  handle(request: ServiceRequest): Promise<ServiceAnswer>;
  /** From now on requests are turned away; those under way are answered. */
  drain(): void;
  readonly isDraining: boolean;
}

export interface ServiceRequest {
  method: string;
  /** Path alone, without what follows a question mark. */
  path: string;
  /** Of a header by its name in small letters. */
  header: (name: string) => string | undefined;
  /**
   * Reads the body.
   * @throws NotServed when it is larger, comes too slowly, or finds no room
   */
  body: (maxBytes: number) => Promise<string>;
  /** Whether an answer of about so many bytes may wait for its client to read it. Not for streams, of which each piece is counted. */
  reserve: (bytes: number) => boolean;
  /** Whether the client has gone. */
  isGone: () => boolean;
  /** Calls back with the reason when the client goes. */
  onGone: (leave: (reason: unknown) => void) => void;
}

export interface ServiceAnswer {
  status: number;
  headers: Record<string, string>;
  /** A large one in pieces, each made when the one before has been sent. */
  body: string | AnswerPieces | AnswerStream;
}

/** Text whose last piece is returned. */
export type AnswerPieces = Iterator<string, string>;

/** Pieces that are waited for. When the client goes, the iteration ends early (`return`). */
export type AnswerStream = AsyncIterable<string>;

/** A request that is not answered for a reason that lies in it, or in the load. */
export class NotServed extends Error {
  readonly status: number;

  constructor(status: 408 | 413 | 503, message: string) {
    super(message);
    this.status = status;
  }
}

/** What is answered under one path. */
export interface Route {
  method: "GET" | "POST";
  /** Whether it needs no token. */
  isOpen?: boolean;
  answer: (request: ServiceRequest, id: string) => ServiceAnswer | Promise<ServiceAnswer>;
}

/** The routes of a service by path, and how it says no. */
export interface FrontDoor {
  access: AccessSettings;
  routes: ReadonlyMap<string, Route>;
  refuse: (status: number, id: string, message: string, headers?: Record<string, string>) => ServiceAnswer;
}

/** The answer of the route that is asked, or why it is not asked: 403, 404, 405, 401, 415; 500 where it throws. */
export async function answerAt(door: FrontDoor, request: ServiceRequest): Promise<ServiceAnswer> {
  const given = request.header("x-request-id");
  const id = given !== undefined && /^[\w.:-]{1,128}$/.test(given) ? given : randomUUID();
  const foreign = foreignness(request.header, door.access);
  if (foreign !== undefined) return door.refuse(403, id, foreign);
  const origin = request.header("origin");
  try {
    const answer = await routed(door, request, id);
    if (origin !== undefined) Object.assign(answer.headers, pageHeaders(origin));
    return answer;
  } catch (error) {
    return door.refuse(500, id, error instanceof Error ? error.message : String(error));
  }
}

async function routed(
  { access, routes, refuse }: FrontDoor,
  request: ServiceRequest,
  id: string,
): Promise<ServiceAnswer> {
  const { method, path, header } = request;
  const route = routes.get(path);
  if (route === undefined) return refuse(404, id, `There are only ${namesOf(routes)}.`);
  const isRead = route.method === "GET" && (method === "GET" || method === "HEAD");
  if (route.isOpen && isRead) return route.answer(request, id);
  if (method === "OPTIONS" && header("origin") !== undefined)
    return { status: 204, headers: { ...preflightHeaders(header), "x-request-id": id }, body: "" };
  if (!hasToken(header("authorization"), access.token))
    return refuse(401, id, "Send the server's token as authorization: Bearer TOKEN.", { "www-authenticate": "Bearer" });
  if (isRead) return route.answer(request, id);
  if (method !== route.method) {
    const advice = route.method === "GET" ? "Ask with GET." : "Ask with POST and a JSON body.";
    return refuse(405, id, advice, { allow: route.method });
  }
  if (!isPlainJson(header))
    return refuse(415, id, "Send the body as content-type: application/json, without content-encoding.");
  return route.answer(request, id);
}

function namesOf(routes: ReadonlyMap<string, Route>): string {
  const names = [...routes].map(([path, { method }]) => `${method} ${path}`);
  return `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

/** An answer in JSON. */
export function json(
  status: number,
  id: string,
  body: unknown,
  headers: Record<string, string> = {},
): Omit<ServiceAnswer, "body"> & { body: string } {
  return {
    status,
    headers: { "content-type": "application/json", "x-request-id": id, ...headers },
    body: body === undefined ? "" : JSON.stringify(body),
  };
}

/** The page that Prometheus reads. */
export function metricsPage(id: string, text: string): ServiceAnswer {
  return {
    status: 200,
    headers: { "content-type": "text/plain; version=0.0.4; charset=utf-8", "x-request-id": id },
    body: text,
  };
}
