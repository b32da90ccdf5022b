/** @file Any search engine as a server that speaks Search-R1's `/retrieve`, for any trainer in any language. */
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { serve as listen } from "@hono/node-server";
import { Hono } from "hono";
import type { Context } from "hono";
import { bodyLimit } from "hono/body-limit";
import { UserError } from "../errors.js";
import { SearchError } from "./engine.js";
import type { SearchEngine } from "./engine.js";
import { WireError, fromRequest, toAnswer } from "./wire.js";
import type { RequestLimits, RetrieveRequest } from "./wire.js";

export interface SearchAppSettings extends RequestLimits {
  /** Largest request body. Bytes. */
  maxBodyBytes: number;
}

const defaults: SearchAppSettings = {
  defaultK: 3,
  maxK: 100,
  // The original sends a whole batch at once: 512 prompts × 5 rollouts.
  maxQueries: 8192,
  maxQueryLength: 20_000,
  maxBodyBytes: 16 * 1024 * 1024,
};

/** Counts of a running server, as `GET /health` shows them. */
interface Health {
  status: "ok";
  engine: string;
  requests: number;
  queries: number;
  failures: number;
  uptimeSeconds: number;
}

const example = { queries: ["What is the capital of Peru?"], topk: 3, return_scores: true };

/**
 * The web application: `POST /retrieve` and `GET /health`. Errors are JSON, `{"error": {"message", …}}`: 400 for a request
 * that is not understood (with an example), 413 for one too large, 503 for a failure that may pass, 500 for others.
 */
export function createSearchApp(engine: SearchEngine, settings: Partial<SearchAppSettings> = {}): Hono {
  const limits = { ...defaults, ...settings };
  const startedAt = performance.now();
  const counts = { requests: 0, queries: 0, failures: 0 };
  const app = new Hono();

  app.get("/health", (context) => {
    const uptimeSeconds = Math.round((performance.now() - startedAt) / 1000);
    return context.json({ status: "ok", engine: engine.name, ...counts, uptimeSeconds } satisfies Health);
  });

  app.post("/retrieve", limitBody(limits.maxBodyBytes), async (context) => {
    const request = fromRequest(await readJson(context), limits);
    counts.requests++;
    counts.queries += request.queries.length;
    return context.json(toAnswer(await search(engine, request, context.req.raw.signal), request.return_scores));
  });

  app.all("/retrieve", (context) => {
    context.header("allow", "POST");
    return context.json(teach("Ask with POST and a JSON body."), 405);
  });

  app.notFound((context) => context.json(teach("There is only POST /retrieve and GET /health."), 404));

  app.onError((error, context) => {
    if (error instanceof WireError)
      return context.json({ error: { message: `${error.message}.`, field: error.field, example } }, 400);
    // A caller who went away is no failure of ours, and nobody reads the answer.
    if (context.req.raw.signal.aborted) return context.body(null, 499 as 400);
    counts.failures++;
    if (error instanceof SearchError && error.isRetryable) {
      context.header("retry-after", "1");
      return context.json({ error: { message: error.message } }, 503);
    }
    return context.json({ error: { message: error.message } }, 500);
  });

  return app;
}

export interface ServeOptions extends Partial<SearchAppSettings> {
  engine: SearchEngine;
  /** 0 lets the system choose; the default is the original's 8000. */
  port?: number;
  /** The default answers this machine only; "0.0.0.0" answers the network. */
  host?: string;
}

export interface RunningServer {
  /** Address of the `/retrieve` route. */
  url: string;
  port: number;
  /**
   * Takes no new connections, waits for requests under way, then cuts what is left after `drainMs` (default 5 s). The
   * engine stays open: it belongs to the caller.
   */
  close(drainMs?: number): Promise<void>;
}

/**
 * Starts the server.
 * @throws UserError when the port is taken or may not be used.
 */
export async function serve({
  engine,
  port = 8000,
  host = "127.0.0.1",
  ...settings
}: ServeOptions): Promise<RunningServer> {
  const app = createSearchApp(engine, settings);
  const server = await new Promise<Server>((resolve, reject) => {
    const starting = listen({ fetch: app.fetch, port, hostname: host }, () => resolve(starting)) as Server;
    starting.once("error", (error) => reject(listenError(error, host, port)));
  });
  const { port: actualPort } = server.address() as AddressInfo;
  const shownHost = host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host;
  const url = `http://${shownHost.includes(":") ? `[${shownHost}]` : shownHost}:${actualPort}/retrieve`;
  return { url, port: actualPort, close: (drainMs = 5_000) => drain(server, drainMs) };
}

async function search(engine: SearchEngine, request: RetrieveRequest, signal: AbortSignal) {
  if (request.queries.length === 0) return [];
  return engine.searchBatch(request.queries, request.topk, { signal });
}

async function readJson(context: Context): Promise<unknown> {
  const text = await context.req.text();
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new WireError("body", `must be JSON (${(error as Error).message})`);
  }
}

function limitBody(maxSize: number) {
  return bodyLimit({
    maxSize,
    onError: (context) =>
      context.json(teach(`The request is larger than ${maxSize} bytes. Send fewer queries at once.`), 413),
  });
}

function teach(message: string) {
  return { error: { message, example: { request: "POST /retrieve", body: example } } };
}

function drain(server: Server, drainMs: number): Promise<void> {
  return new Promise((resolve) => {
    const deadline = setTimeout(() => server.closeAllConnections(), drainMs);
    // Connections that become idle after `close` would be kept alive otherwise.
    const sweep = setInterval(() => server.closeIdleConnections(), 20);
    server.close(() => {
      clearTimeout(deadline);
      clearInterval(sweep);
      resolve();
    });
    server.closeIdleConnections();
  });
}

function listenError(error: NodeJS.ErrnoException, host: string, port: number): Error {
  if (error.code === "EADDRINUSE")
    return new UserError(`Port ${port} on ${host} is taken. Choose another with --port, or 0 for any free one.`, {
      cause: error,
    });
  if (error.code === "EACCES")
    return new UserError(`Port ${port} may not be used by this user. Choose one above 1023 with --port.`, {
      cause: error,
    });
  if (error.code === "EADDRNOTAVAIL" || error.code === "ENOTFOUND")
    return new UserError(`${host} is not an address of this machine. Choose --host 127.0.0.1 or 0.0.0.0.`, {
      cause: error,
    });
  return error;
}
