/** @file The connections of a server: so many at most, and how they end. */
import type { Server } from "node:http";
import type { Socket } from "node:net";
import { nextTurn, sleep } from "../../async.js";

/** A server that ends still takes requests until none has come for so long. Milliseconds. */
const quietMs = 50;

/** Longest time for that. Milliseconds. */
const partingMs = 1_000;

/** The open connections of a server. */
export class Connections {
  readonly #server: Server;
  readonly #limit: number;
  /** Those on which no request is answered, the longest first. */
  readonly #waiting = new Set<Socket>();
  #count = 0;
  /** When a connection was opened or a request answered. */
  #lastSign = 0;

  /** Beyond `limit` a new connection ends the one that has waited longest for its client. */
  constructor(server: Server, limit: number) {
    this.#server = server;
    this.#limit = limit;
    server.on("connection", (socket: Socket) => this.#add(socket));
  }

  /** A request of this connection has arrived whole. */
  begin(socket: Socket): void {
    this.#waiting.delete(socket);
  }

  /** Its answer has been sent, or will never be. */
  end(socket: Socket): void {
    this.#lastSign = performance.now();
    if (!socket.destroyed) this.#waiting.add(socket);
  }

  /** Waits for the requests that are answered, then cuts all connections; at the latest after `drainMs`. */
  async close(drainMs: number): Promise<void> {
    const started = performance.now();
    const lasts = (ms: number): boolean => performance.now() - started < Math.min(ms, drainMs);
    // Connections that the system has accepted get their answers, too.
    do {
      await sleep(Math.min(quietMs, drainMs));
      // What has come while this thread was busy is read in the next turns.
      for (let turn = 0; turn < 3; turn++) await nextTurn();
    } while (performance.now() - this.#lastSign < quietMs && lasts(partingMs));
    const sweep = setInterval(() => {
      if (this.#count === this.#waiting.size || !lasts(drainMs)) this.#server.closeAllConnections();
    }, 5);
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    clearInterval(sweep);
  }

  #add(socket: Socket): void {
    this.#count++;
    this.#lastSign = performance.now();
    socket.once("close", () => {
      this.#count--;
      this.#waiting.delete(socket);
    });
    this.#waiting.add(socket);
    if (this.#count <= this.#limit) return;
    const [longest] = this.#waiting;
    this.#waiting.delete(longest);
    longest.destroy();
  }
}
