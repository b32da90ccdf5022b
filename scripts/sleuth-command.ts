/** @file The command line of a checkout, as a process whose answer is JSON. */
import { spawn } from "node:child_process";
import { UserError } from "../src/errors.js";

/** The exit status of a verb that Ctrl-C has ended: what it has done is safe. */
const interruptedStatus = 130;

/** A verb that was stopped by Ctrl-C. */
export class Stopped extends UserError {}

/** The command line of a checkout. */
export class SleuthCommand {
  readonly #program: string;

  constructor(program: string) {
    this.#program = program;
  }

  /** Runs a verb and returns its JSON. `isShown`: what it says to people is shown. */
  async run(words: readonly string[], { isShown = false, signal }: { isShown?: boolean; signal?: AbortSignal } = {}) {
    const child = spawn(process.execPath, [this.#program, ...words, "--json"], {
      stdio: ["ignore", "pipe", isShown ? "inherit" : "pipe"],
      signal,
    });
    const said: Buffer[] = [];
    const complaint: Buffer[] = [];
    child.stdout?.on("data", (chunk: Buffer) => said.push(chunk));
    child.stderr?.on("data", (chunk: Buffer) => complaint.push(chunk));
    const status = await new Promise<number | null>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", resolve);
    });
    if (status === interruptedStatus) throw new Stopped("Stopped. The same command goes on.");
    if (status !== 0)
      throw new UserError(
        `sleuth ${words.join(" ")} ended with ${status}.\n${Buffer.concat(complaint).toString().trim()}`,
      );
    return JSON.parse(Buffer.concat(said).toString()) as unknown;
  }
}
