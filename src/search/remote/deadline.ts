/** @file A task of several requests with one signal: it aborts when somebody gives up, when time is up, and when a part of the task has failed. */
import { setMaxListeners } from "node:events";

/**
 * Runs `task`. When it fails, its signal aborts, so that parts of it still under way stop; it is over when this returns.
 * Listeners are taken off again: the given signals may live as long as a run.
 * @param late makes the error for when time is up
 * @throws the reason of the signal that aborted first, or `late()`; what the task throws
 */
export async function withDeadline<T>(
  signals: readonly (AbortSignal | undefined)[],
  ms: number,
  late: () => Error,
  task: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const given = signals.filter((signal) => signal !== undefined);
  // One listener for each request of a task, and for each task of a run, is no leak.
  setMaxListeners(0, controller.signal, ...given);
  const onAbort = (): void => controller.abort(given.find((signal) => signal.aborted)?.reason);
  for (const signal of given) signal.addEventListener("abort", onAbort, { once: true });
  if (given.some((signal) => signal.aborted)) onAbort();
  const timer = setTimeout(() => controller.abort(late()), ms);
  try {
    controller.signal.throwIfAborted();
    return await task(controller.signal);
  } catch (error) {
    controller.abort(error);
    throw error;
  } finally {
    clearTimeout(timer);
    for (const signal of given) signal.removeEventListener("abort", onAbort);
  }
}
