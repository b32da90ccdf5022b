/** @file A service on a port: bounded connections, bodies and answers, and an orderly end. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { UserError } from "../../errors.js";
import { Budget } from "./budget.js";
import { Connections } from "./connections.js";
import { Exchange, type Shared } from "./exchange.js";
import type { Held } from "./metrics.js";
import type { HttpService } from "./service.js";

/** What clients may make a server hold, and for how long. */
export interface ConnectionSettings {
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

const defaults: ConnectionSettings = {
  maxConnections: 2048,
  maxRequestBytes: 256 * 1024 * 1024,
  maxUnsentBytes: 256 * 1024 * 1024,
  receiveTimeoutMs: 10_000,
  stallTimeoutMs: 30_000,
};

/** Where room is needed, a client that has stood still for so long is cut before its time, or after a quarter of it. Milliseconds. */
const graceMs = 1_000;

interface ListenOptions extends Partial<ConnectionSettings> {
  /** 0 lets the system choose. */
  port: number;
  /** "127.0.0.1" answers this machine only, "0.0.0.0" the network. */
  host: string;
}

/** A server that listens. */
export interface RunningServer {
  /** Its address: that of the route that is asked most. */
  url: string;
  port: number;
  /**
   * Turns away new requests, waits for those under way, then cuts what is left after `drainMs` (default 5 s). What the service stands on stays
   * open: it belongs to the caller.
   */
  close(drainMs?: number): Promise<void>;
}

/**
 * Starts a server.
 * @param route whose address `url` is
 * @param takeHeld is given what tells what the connections hold
 * @throws UserError when the port is taken or may not be used
 */
export async function listen(
  service: HttpService,
  {
    port,
    host,
    maxConnections = defaults.maxConnections,
    maxRequestBytes = defaults.maxRequestBytes,
    maxUnsentBytes = defaults.maxUnsentBytes,
    receiveTimeoutMs = defaults.receiveTimeoutMs,
    stallTimeoutMs = defaults.stallTimeoutMs,
  }: ListenOptions,
  { route, takeHeld }: { route: string; takeHeld: (held: () => Held) => void },
): Promise<RunningServer> {
  const sweepMs = Math.min(1_000, receiveTimeoutMs / 4, stallTimeoutMs / 4);
  const server = createServer({
    headersTimeout: receiveTimeoutMs,
    // Of requests that were answered before their end. Bodies that are read have a time of their own.
    requestTimeout: 3 * receiveTimeoutMs,
    connectionsCheckingInterval: sweepMs,
  });
  const shared: Shared = {
    service,
    connections: new Connections(server, maxConnections),
    requests: new Budget({ limit: maxRequestBytes, graceMs: Math.min(graceMs, receiveTimeoutMs / 4) }),
    answers: new Budget({ limit: maxUnsentBytes, graceMs: Math.min(graceMs, stallTimeoutMs / 4) }),
  };
  const { requests, answers, connections } = shared;
  takeHeld(() => ({ requestBytes: requests.used, unsentBytes: answers.used, cuts: requests.cuts + answers.cuts }));
  server.on("request", (request, response) => void new Exchange(shared, request, response).run());
  const actualPort = await listening(server, host, port);
  const sweep = setInterval(() => {
    requests.cutOlderThan(receiveTimeoutMs);
    answers.cutOlderThan(stallTimeoutMs);
  }, sweepMs);
  sweep.unref();
  const close = async (drainMs = 5_000): Promise<void> => {
    service.drain();
    requests.cutOlderThan(0);
    await connections.close(drainMs);
    clearInterval(sweep);
  };
  return { url: addressOf(host, actualPort) + route, port: actualPort, close };
}

/** @returns the port, which the system may have chosen */
async function listening(server: Server, host: string, port: number): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => reject(listenError(error, host, port)));
    server.listen(port, host, resolve);
  });
  return (server.address() as AddressInfo).port;
}

function addressOf(host: string, port: number): string {
  const shown = host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host;
  return `http://${shown.includes(":") ? `[${shown}]` : shown}:${port}`;
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
