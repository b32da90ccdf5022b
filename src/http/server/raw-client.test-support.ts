/** @file Clients that misbehave: a connection that sends what it is told, and reads only when it is told to. */
import { connect } from "node:net";
import type { Socket } from "node:net";

export class RawClient {
  readonly #socket: Socket;
  #received = "";
  /** Resolves when the server has ended the connection, in whatever way. */
  readonly closed: Promise<void>;

  constructor(port: number, { reads = true }: { reads?: boolean } = {}) {
    this.#socket = connect({ port, host: "127.0.0.1" });
    this.#socket.on("error", () => undefined);
    this.closed = new Promise((resolve) => this.#socket.once("close", () => resolve()));
    if (reads) this.#socket.setEncoding("latin1").on("data", (text: string) => (this.#received += text));
    else this.#socket.pause();
  }

  send(text: string): this {
    this.#socket.write(text);
    return this;
  }

  /** Sends a search. @param sent bytes of the body that are sent, of those that the headers promise */
  search(body: unknown, { headers = {}, sent }: { headers?: Record<string, string>; sent?: number } = {}): this {
    const text = typeof body === "string" ? body : JSON.stringify(body);
    return this.send(headOf({ "content-length": `${Buffer.byteLength(text)}`, ...headers }) + text.slice(0, sent));
  }

  get received(): string {
    return this.#received;
  }

  /** What has come when it matches, or when the connection has ended. @throws Error after `timeoutMs` */
  async until(expected: RegExp, timeoutMs = 10_000): Promise<string> {
    const deadline = performance.now() + timeoutMs;
    while (!expected.test(this.#received) && !this.#socket.destroyed) {
      if (performance.now() > deadline) throw new Error(`No ${String(expected)} within ${timeoutMs} ms.`);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    return this.#received;
  }

  /** Status of the first answer; 0 when the connection has ended without one. */
  async status(timeoutMs?: number): Promise<number> {
    return Number(/^HTTP\/1\.1 (\d+)/.exec(await this.until(/^HTTP\/1\.1 \d+/, timeoutMs))?.[1] ?? 0);
  }

  end(): void {
    this.#socket.destroy();
  }
}

/** The head of a search. A header that is empty is left out. */
export function headOf(headers: Record<string, string> = {}, line = "POST /retrieve"): string {
  const all = { host: "localhost", "content-type": "application/json", ...headers };
  const lines = Object.entries(all).flatMap(([name, value]) => (value === "" ? [] : [`${name}: ${value}`]));
  return `${[`${line} HTTP/1.1`, ...lines].join("\r\n")}\r\n\r\n`;
}
