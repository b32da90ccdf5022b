/** @file Any search engine as a server that speaks Search-R1's `/retrieve`, for any trainer in any language. */
import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { UserError } from "../../errors.js";
import type { SearchEngine } from "../engine.js";
import { SearchService, TooLarge } from "./service.js";
import type { SearchServiceSettings, ServiceAnswer } from "./service.js";

export interface ServeOptions extends Partial<SearchServiceSettings> {
  /** One that is still being opened is waited for with 503. */
  engine: SearchEngine | Promise<SearchEngine>;
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
   * Turns new searches away, waits for those under way, then cuts what is left after `drainMs` (default 5 s). The
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
  const service = new SearchService(engine, settings);
  const server = createServer((request, response) => void answer(service, request, response));
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => reject(listenError(error, host, port)));
    server.listen(port, host, resolve);
  });
  const { port: actualPort } = server.address() as AddressInfo;
  const shownHost = host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host;
  const url = `http://${shownHost.includes(":") ? `[${shownHost}]` : shownHost}:${actualPort}/retrieve`;
  const close = (drainMs = 5_000): Promise<void> => {
    service.drain();
    return drain(server, drainMs);
  };
  return { url, port: actualPort, close };
}

async function answer(service: SearchService, request: IncomingMessage, response: ServerResponse): Promise<void> {
  try {
    const reply = await service.handle({
      method: request.method ?? "GET",
      path: (request.url ?? "/").replace(/\?.*$/, ""),
      header: (name) => request.headers[name]?.toString(),
      body: (maxBytes) => readBody(request, maxBytes),
      // Also closed after the end of an answer; then there is no listener left.
      isGone: () => response.closed,
      // Every response closes: only one that closes early makes an error, which takes longer to make than a small search.
      onGone: (leave) =>
        void response.on("close", () => {
          if (!response.writableFinished) leave(new Error("the client went away"));
        }),
    });
    await send(reply, response);
  } catch {
    // The connection broke: there is no client to answer.
    response.destroy();
  }
}

function readBody(request: IncomingMessage, maxBytes: number): Promise<string> {
  if (Number(request.headers["content-length"] ?? 0) > maxBytes) return Promise.reject(new TooLarge());
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = [];
    let bytes = 0;
    request.on("data", (piece: Buffer) => {
      bytes += piece.length;
      if (bytes > maxBytes) reject(new TooLarge());
      else pieces.push(piece);
    });
    request.on("end", () => resolve((pieces.length === 1 ? pieces[0] : Buffer.concat(pieces)).toString("utf8")));
    request.on("error", reject);
  });
}

async function send({ status, headers, body }: ServiceAnswer, response: ServerResponse): Promise<void> {
  // Node reads what is left of a request that was refused, and keeps the connection; not for as long as this one may be.
  if (status === 413) response.setHeader("connection", "close");
  if (body.length > 1) {
    response.writeHead(status, headers);
    return pipeline(Readable.from(body), response);
  }
  const text = body[0] ?? "";
  headers["content-length"] = `${Buffer.byteLength(text)}`;
  response.writeHead(status, headers);
  // As text: Node then sends it in one piece with the headers.
  response.end(text);
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
