/** @file What a pool and its workers say to each other, and errors as data. */
import { UserError } from "../errors.js";

/** What a worker is started with. */
export interface WorkerStart {
  /** Address of the module that calls `serveTasks`. */
  module: string;
  data: unknown;
}

export interface TaskMessage {
  id: number;
  task: unknown;
}

export interface WireFailure {
  message: string;
  /** Whether the user can mend it (`UserError`). */
  isUserError: boolean;
  stack?: string;
}

/** The first reply has the id of no task and says that the worker is ready or why not. */
export type Reply = { id: number; answer: unknown } | { id: number; failure: WireFailure };

export const readyId = -1;

export function toFailure(error: unknown): WireFailure {
  if (!(error instanceof Error)) return { message: String(error), isUserError: false };
  return { message: error.message, isUserError: error instanceof UserError, stack: error.stack };
}

export function fromFailure({ message, isUserError, stack }: WireFailure): Error {
  const error = isUserError ? new UserError(message) : new Error(message);
  if (stack !== undefined) error.stack = stack;
  return error;
}
