/** @file The peer's Python process, kept alive between measurements so that both sides can take turns. */
import { spawn, type ChildProcessWithoutNullStreams } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";
import { createInterface, type Interface } from "node:readline";
import { UserError } from "../../src/errors.js";

const setup = "bash bench/peer/setup.sh";
const keptLines = 40;

/** The interpreter that has torch, transformers and trl: `SLEUTH_PEER_PYTHON`, else what `setup.sh` makes. */
export function peerPython(): { python: string; exists: boolean } {
  const python = process.env.SLEUTH_PEER_PYTHON ?? path.join(".cache", "peer", "bin", "python");
  return { python, exists: existsSync(python) };
}

export const howToSetUp = (): string =>
  `The peer's Python is not there (${peerPython().python}). Set it up with \`${setup}\` (several GB), ` +
  "or name an interpreter that has bench/peer/requirements.txt in SLEUTH_PEER_PYTHON.";

/** Speaks JSON lines with `peer.py`, one request at a time. */
export class Peer {
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #lines: Interface;
  readonly #ended: Promise<never>;
  /** The last that libraries printed. */
  readonly #printed: string[] = [];

  /** @throws UserError when there is no interpreter */
  static start(threads: number): Peer {
    const { python, exists } = peerPython();
    if (!exists) throw new UserError(howToSetUp());
    return Peer.run(python, path.join(import.meta.dirname, "peer.py"), { SLEUTH_PEER_THREADS: String(threads) });
  }

  /** Any script that speaks as `peer.py` does. */
  static run(python: string, script: string, environment: Readonly<Record<string, string>> = {}): Peer {
    return new Peer(spawn(python, [script], { env: { ...process.env, ...environment }, stdio: "pipe" }));
  }

  private constructor(child: ChildProcessWithoutNullStreams) {
    this.#process = child;
    this.#lines = createInterface({ input: child.stdout });
    createInterface({ input: child.stderr }).on("line", (line) => {
      this.#printed.push(line);
      if (this.#printed.length > keptLines) this.#printed.shift();
    });
    this.#ended = new Promise((_, reject) => {
      child.once("error", reject);
      child.once("exit", (code, signal) =>
        reject(new Error(`The peer's process has ended (${code ?? signal}). It printed:\n${this.#printed.join("\n")}`)),
      );
    });
    this.#ended.catch(() => {});
  }

  /**
   * Has the peer do one thing; it waits idle before and after.
   * @throws Error with the peer's own traceback
   */
  async ask<T extends object>(verb: string, request: object = {}): Promise<T> {
    const answered = new Promise<string>((resolve) => this.#lines.once("line", resolve));
    this.#process.stdin.write(`${JSON.stringify({ verb, ...request })}\n`);
    const reply = JSON.parse(await Promise.race([answered, this.#ended])) as T | { error: string };
    if ("error" in reply) throw new Error(`The peer failed at ${verb}:\n${reply.error}`);
    return reply;
  }

  /** Ends the process and waits for it. */
  async close(): Promise<void> {
    this.#process.stdin.end();
    await this.#ended.catch(() => {});
  }
}
