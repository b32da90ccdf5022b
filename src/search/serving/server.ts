/** @file Any search engine as a server that speaks Search-R1's `/retrieve`, for any trainer in any language. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { UserError } from "../../errors.js";
import type { SearchEngine } from "../engine.js";
import { isLoopback } from "./access.js";
import { Budget } from "./budget.js";
import { Connections } from "./connections.js";
import { Exchange } from "./exchange.js";
import type { Shared } from "./exchange.js";
import type { ServerMetrics } from "./metrics.js";
import { SearchService } from "./service.js";
import type { SearchServiceSettings } from "./service.js";

/** What clients may make the server hold, and for how long. */
interface ConnectionSettings {
  /** Connections. A further one ends the one that has waited longest for its client. */
  maxConnections: number;
  /** Of all requests together, from their first byte to their answer. Bytes. */
  maxRequestBytes: number;
  /** Of all answers that clients have not read yet. Bytes. */
  maxUnsentBytes: number;
  /** Longest time from the first byte of a request to the end of its headers, and from there to the end of its body. Milliseconds. */
  receiveTimeoutMs: number;
  /** Longest time for a client to read the next 256 kB of its answer. Milliseconds. */
  stallTimeoutMs: number;
}

const defaultConnections: ConnectionSettings = {
  maxConnections: 2048,
  maxRequestBytes: 256 * 1024 * 1024,
  maxUnsentBytes: 256 * 1024 * 1024,
  receiveTimeoutMs: 10_000,
  stallTimeoutMs: 30_000,
};

/** Where room is needed, a client that has stood still for so long is cut before its time, or after a quarter of it. Milliseconds. */
const graceMs = 1_000;

/** The engine, its address, and bounds; what is left out has a default. */
export interface ServeOptions extends Partial<SearchServiceSettings>, Partial<ConnectionSettings> {
  /** One that is still being opened is waited for with 503. */
  engine: SearchEngine | Promise<SearchEngine>;
  /** 0 lets the system choose; the default is the original's 8000. */
  port?: number;
  /** The default answers this machine only; "0.0.0.0" answers the network. */
  host?: string;
}

/** A server that listens. */
export interface RunningServer {
  /** Address of the `/retrieve` route. */
  url: string;
  port: number;
  /**
   * Turns away new searches and those that the engine has not begun, waits for those under way, then cuts what is left after `drainMs`
   * (default 5 s). The engine stays open: it belongs to the caller.
   */
  close(drainMs?: number): Promise<void>;
}

/**
 * Starts the server. On a loopback address it answers, unless `allowedHosts` says otherwise, only requests whose `Host` is one, too.
 * @throws UserError when the port is taken or may not be used.
 */
export async function serve({
  engine,
  port = 8000,
  host = "127.0.0.1",
  allowedHosts = isLoopback(host) ? [] : "any",
  maxConnections = defaultConnections.maxConnections,
  maxRequestBytes = defaultConnections.maxRequestBytes,
  maxUnsentBytes = defaultConnections.maxUnsentBytes,
  receiveTimeoutMs = defaultConnections.receiveTimeoutMs,
  stallTimeoutMs = defaultConnections.stallTimeoutMs,
  ...settings
}: ServeOptions): Promise<RunningServer> {
  const sweepMs = Math.min(1_000, receiveTimeoutMs / 4, stallTimeoutMs / 4);
  const server = createServer({
    headersTimeout: receiveTimeoutMs,
    // Of requests that were answered before their end. Bodies that are read have a time of their own.
    requestTimeout: 3 * receiveTimeoutMs,
    connectionsCheckingInterval: sweepMs,
  });
  const shared: Shared = {
    service: new SearchService(engine, { ...settings, allowedHosts }),
    connections: new Connections(server, maxConnections),
    requests: new Budget({ limit: maxRequestBytes, graceMs: Math.min(graceMs, receiveTimeoutMs / 4) }),
    answers: new Budget({ limit: maxUnsentBytes, graceMs: Math.min(graceMs, stallTimeoutMs / 4) }),
  };
  const { service, requests, answers } = shared;
  service.metrics.held = () => heldBy(shared);
  server.on("request", (request, response) => void new Exchange(shared, request, response).run());
  const actualPort = await listen(server, host, port);
  const sweep = setInterval(() => {
    requests.cutOlderThan(receiveTimeoutMs);
    answers.cutOlderThan(stallTimeoutMs);
  }, sweepMs);
  sweep.unref();
  const close = async (drainMs = 5_000): Promise<void> => {
    service.drain();
    requests.cutOlderThan(0);
    await shared.connections.close(drainMs);
    clearInterval(sweep);
  };
  return { url: addressOf(host, actualPort), port: actualPort, close };
}

function heldBy({ requests, answers }: Shared): ReturnType<ServerMetrics["held"]> {
  return { requestBytes: requests.used, unsentBytes: answers.used, cuts: requests.cuts + answers.cuts };
}

/** @returns the port, which the system may have chosen */
async function listen(server: Server, host: string, port: number): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => reject(listenError(error, host, port)));
    server.listen(port, host, resolve);
  });
  return (server.address() as AddressInfo).port;
}

function addressOf(host: string, port: number): string {
  const shown = host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host;
  return `http://${shown.includes(":") ? `[${shown}]` : shown}:${port}/retrieve`;
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
