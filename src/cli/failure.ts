/** @file How a failure ends the process: what is printed, and the exit status. */
import { CommanderError } from "commander";
import { UserError } from "../errors.js";
import { printableMessage } from "../printable.js";
import { SearchError } from "../search/engine.js";
import { Interrupted, interruptedStatus, isEnding } from "./interrupt.js";

/** Exit statuses besides 0. */
export const exitStatus = { user: 1, usage: 2, internal: 70, interrupted: interruptedStatus } as const;

interface Failure {
  kind: keyof typeof exitStatus;
  /** For people; empty when it was printed already. */
  message: string;
}

/** What the operating system says, and what to do about it. */
const systemErrors: Readonly<Record<string, string>> = {
  ENOSPC: "The disk is full. Make room and run the same command again.",
  EACCES: "Permission denied. Choose a place that you may write to, or change its permissions.",
  EPERM: "Not permitted. Choose another place or change its permissions.",
  EROFS: "The file system is read-only. Choose another place.",
  ENOENT: "It does not exist. Check the path.",
  EISDIR: "It is a folder, and a file was expected.",
  ENOTDIR: "A part of the path is a file, and a folder was expected.",
  EADDRINUSE: "Another program listens on that port. Choose another with --port.",
  EMFILE: "Too many open files. Raise the limit with ulimit -n.",
};

/**
 * Sorts what was thrown; undefined when it was no failure at all (help or version were asked for). Messages quote files, servers and command
 * lines: what is printed of them is printable and of bounded length.
 */
export function classify(error: unknown): Failure | undefined {
  const failure = sort(error);
  return failure && { ...failure, message: printableMessage(failure.message) };
}

function sort(error: unknown): Failure | undefined {
  if (isEnding()) return { kind: "interrupted", message: "" };
  if (error instanceof CommanderError) return error.exitCode === 0 ? undefined : { kind: "usage", message: "" };
  if (error instanceof Interrupted) return { kind: "interrupted", message: "Interrupted." };
  if (error instanceof UserError || error instanceof SearchError) return { kind: "user", message: error.message };
  const advice = systemErrors[(error as NodeJS.ErrnoException | null)?.code ?? ""];
  if (advice !== undefined) return { kind: "user", message: `${(error as Error).message}. ${advice}` };
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return {
    kind: "internal",
    message: `This is a bug in Sleuth. Please report it with the command line and these lines:\n\n${stack}`,
  };
}
