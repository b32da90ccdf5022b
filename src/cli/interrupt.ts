/** @file Ctrl-C: the first asks for an orderly end, the second ends the process at once. */
import type { Terminal } from "./terminal/terminal.js";

/** What Ctrl-C aborts a task with. */
export class Interrupted extends Error {
  constructor() {
    super("interrupted");
    this.name = "Interrupted";
  }
}

/** The exit status that shells give to a process ended by Ctrl-C. */
export const interruptedStatus = 130;

const signals = ["SIGINT", "SIGTERM"] as const;

/** Tasks that end in order when they are asked to. */
let orderly = 0;

/**
 * Ends the process on Ctrl-C also where no task waits for it, for example while a model is opened: as by `process.exit`, so that
 * listeners to its "exit" can delete what is temporary.
 */
export function exitOnInterrupt(): void {
  for (const name of signals) process.on(name, () => void (orderly === 0 && process.exit(interruptedStatus)));
}

/**
 * Runs `task` with a signal that the first Ctrl-C aborts. The task ends when it has made its state safe.
 * @param message the message after Ctrl-C, for example "Writing a checkpoint."
 */
export async function withInterrupt<T>(
  terminal: Terminal,
  message: string,
  task: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const onSignal = (): void => {
    if (controller.signal.aborted) process.exit(interruptedStatus);
    terminal.note(`${message} Press Ctrl-C again to stop at once.`);
    controller.abort(new Interrupted());
  };
  for (const name of signals) process.on(name, onSignal);
  orderly++;
  try {
    return await task(controller.signal);
  } finally {
    orderly--;
    for (const name of signals) process.off(name, onSignal);
  }
}
