/** @file What workers and the threads that start them say to each other, and errors as data. */
import type { MessagePort } from "node:worker_threads";
import { UserError } from "../errors.js";

/** What a worker is started with. */
export interface WorkerStart {
  /** Address of the module that calls `serveTasks`. */
  module: string;
  data: unknown;
  /** Any message here has the worker end itself; absent where it may be ended at any moment. */
  end?: MessagePort;
}

/** What a `WorkerProcess` is started with: its first argument, as JSON. */
export interface HostStart {
  /** For error messages. */
  name: string;
  /** Path of the module that calls `serveTasks`, from the folder of this file, without its ending. */
  module: string;
  /** Most memory of the process, in MB. */
  memoryMb: number;
}

/** What the process ends with when it has taken too much memory. */
export const outOfMemoryStatus = 71;

/** A task, or the number of a task whose caller no longer waits. */
export type Request = { id: number; task: unknown } | { cancel: number };

/** Replies may come in any order. The first has the id of no task: it says that the worker is ready, or why not. */
export type Reply = { id: number; answer: unknown } | { id: number; failure: WireFailure };

export const readyId = -1;

/** An error that keeps its kind across threads, and the system's code where it has one (ENOSPC: the disk is full). */
interface WireFailure {
  name: string;
  message: string;
  /** Whether the user can mend it (`UserError`). */
  isUserError: boolean;
  stack?: string;
  code?: string;
}

/** What of an error can be sent to another thread. */
export function toFailure(error: unknown): WireFailure {
  if (!(error instanceof Error)) return { name: "Error", message: String(error), isUserError: false };
  const { name, message, stack, code } = error as NodeJS.ErrnoException;
  return { name, message, isUserError: error instanceof UserError, stack, code };
}

/** The error again: a `UserError` where it was one, else an `Error` of the same name. */
export function fromFailure({ name, message, isUserError, stack, code }: WireFailure): Error {
  const error = isUserError ? new UserError(message) : new Error(message);
  error.name = name;
  if (stack !== undefined) error.stack = stack;
  if (code !== undefined) Object.assign(error, { code });
  return error;
}
