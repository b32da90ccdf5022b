/** @file The connections of a server: so many at most, and how they end. */
import type { Server } from "node:http";
import type { Socket } from "node:net";
import { sleep } from "../../async.js";

/** How long a server that ends still answers what was sent to it meanwhile. Milliseconds. */
const partingMs = 50;

export class Connections {
  readonly #server: Server;
  readonly #limit: number;
  /** Those on which no request is answered, the longest first. */
  readonly #waiting = new Set<Socket>();
  #count = 0;

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
    if (!socket.destroyed) this.#waiting.add(socket);
  }

  /** Waits for the requests that are answered, then cuts all connections; at the latest after `drainMs`. */
  async close(drainMs: number): Promise<void> {
    const started = performance.now();
    // Connections that the system has accepted get their answers, too.
    await sleep(Math.min(partingMs, drainMs));
    const sweep = setInterval(() => {
      const isOver = this.#count === this.#waiting.size || performance.now() - started >= drainMs;
      if (isOver) this.#server.closeAllConnections();
    }, 5);
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    clearInterval(sweep);
  }

  #add(socket: Socket): void {
    this.#count++;
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
