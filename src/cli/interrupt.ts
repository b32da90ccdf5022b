/** @file Ctrl-C: the first asks for an orderly end, the second ends the process at once. */
import { closeNativeWorkers } from "../workers/thread.js";
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

/** Longest wait for workers in native code. */
const mostWaitMs = 2000;

const signals = ["SIGINT", "SIGTERM"] as const;

/** Tasks that end in order when they are asked to. */
let orderly = 0;

let ending = false;

/** Whether the process is being ended: what fails from then on, fails because of that. */
export function isEnding(): boolean {
  return ending;
}

/**
 * Ends the process on Ctrl-C also where no task waits for it, for example while a model is opened: as by `process.exit`, so that
 * listeners to its "exit" can delete what is temporary.
 */
export function exitOnInterrupt(): void {
  for (const name of signals) process.on(name, () => void (orderly === 0 && end(name)));
}

/**
 * Ends the process as soon as no worker is in native code, which must not be cut off (SIGABRT). Where one stays there for too long, the process dies of the signal, for
 * which shells have the same status.
 */
function end(name: NodeJS.Signals): void {
  if (ending) return;
  ending = true;
  process.stderr.write("Interrupted.\n");
  setTimeout(() => {
    process.emit("exit", interruptedStatus);
    for (const each of signals) process.removeAllListeners(each);
    process.kill(process.pid, name);
  }, mostWaitMs).unref();
  void closeNativeWorkers().finally(() => process.exit(interruptedStatus));
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
  const onSignal = (name: NodeJS.Signals): void => {
    if (controller.signal.aborted) return end(name);
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
