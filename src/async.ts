/** @file Waiting for promises: giving up, deadlines, limits on how many tasks run at once; and long work that lets other work run. */
import { setMaxListeners } from "node:events";

/** One signal or several: whichever aborts first counts. `undefined` never aborts. */
type Signals = AbortSignal | undefined | readonly (AbortSignal | undefined)[];

/**
 * Calls `listener` once with the reason of the first signal to abort; at once if one has aborted already.
 * @returns a function that removes the listeners
 */
export function onAbort(signal: Signals, listener: (reason: unknown) => void): () => void {
  const signals = [signal].flat().filter((one) => one !== undefined);
  const abortedSignal = (): AbortSignal | undefined => signals.find(({ aborted }) => aborted);
  const release = (): void => {
    for (const one of signals) one.removeEventListener("abort", onEvent);
  };
  const onEvent = (): void => {
    release();
    listener(abortedSignal()?.reason);
  };
  if (abortedSignal() !== undefined) onEvent();
  else {
    for (const one of signals) {
      // Every task of a run listens to the run's signal: many listeners are no leak.
      setMaxListeners(0, one);
      one.addEventListener("abort", onEvent);
    }
  }
  return release;
}

/**
 * A controller that aborts when one of the signals does, with its reason; `release` ends that. Its signal takes any number of listeners,
 * as one that many tasks share must.
 */
export function linkedController(signal?: Signals): { controller: AbortController; release: () => void } {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  return { controller, release: onAbort(signal, (reason) => controller.abort(reason)) };
}

/**
 * The promise's answer, or the signal's reason as soon as it aborts. What the promise stands for is not stopped by that.
 * @param onLeave called when the signal aborts first, with its reason
 */
export function orAborted<Answer>(
  promise: Promise<Answer>,
  signal: Signals,
  onLeave?: (reason: unknown) => void,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const release = onAbort(signal, (reason) => {
      reject(reason as Error);
      onLeave?.(reason);
    });
    promise.then(resolve, reject).finally(release);
  });
}

/** The longest delay that timers take; longer ones would fire at once. Milliseconds, about 25 days. */
const longestTimerMs = 2 ** 31 - 1;

/** Resolves after `ms` milliseconds; rejects with the signal's reason when it aborts first. */
export function sleep(ms: number, signal?: Signals): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const elapsed = new Promise<void>((resolve) => (timer = setTimeout(resolve, Math.min(ms, longestTimerMs))));
  return orAborted(elapsed, signal, () => clearTimeout(timer));
}

/** Lets messages, timers and other waiting work run: resolves when the event loop has turned. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** The time for a task was over. */
export class DeadlineError extends Error {
  readonly timeoutMs: number;

  constructor(timeoutMs: number) {
    super(`no answer within ${timeoutMs} ms`);
    this.name = "DeadlineError";
    this.timeoutMs = timeoutMs;
  }
}

interface DeadlineOptions<Answer> {
  /** Milliseconds; Infinity, and more than about 25 days, is no deadline. */
  timeoutMs: number;
  /** Ends the wait, too. */
  signal?: Signals;
  /** Makes the error for when time is up. Default: a `DeadlineError`. */
  late?: () => Error;
  /** Receives an answer that came after the wait was over, to close what it opened. */
  discard?: (answer: Answer) => unknown;
}

/**
 * Runs `task` until its time is up or the signal aborts. The task's own signal aborts in both cases, and when the task fails, so that
 * parts of it still under way stop. The wait ends even if the task ignores its signal. A signal that has aborted starts no task.
 * @throws the signal's reason; `late()`; what the task throws
 */
export function withDeadline<Answer>(
  task: (signal: AbortSignal) => Promise<Answer>,
  { timeoutMs, signal, late = () => new DeadlineError(timeoutMs), discard }: DeadlineOptions<Answer>,
): Promise<Answer> {
  const { controller } = linkedController();
  return new Promise((resolve, reject) => {
    const end = (settle: () => void): void => {
      clearTimeout(timer);
      release();
      settle();
    };
    const fail = (reason: unknown): void => {
      reject(reason as Error);
      controller.abort(reason);
    };
    let timer: NodeJS.Timeout | undefined;
    let release = (): void => {};
    release = onAbort(signal, (reason) => end(() => fail(reason)));
    if (controller.signal.aborted) return;
    if (timeoutMs <= longestTimerMs) timer = setTimeout(() => end(() => fail(late())), timeoutMs);
    start(() => task(controller.signal)).then(
      (answer) => (controller.signal.aborted ? discard?.(answer) : end(() => resolve(answer))),
      (error: unknown) => end(() => fail(error)),
    );
  });
}

/**
 * `fn` of every item, at most `limit` at once; results keep the order of the items. After a failure or an abort no item is begun, the
 * signal given to `fn` aborts, and those under way are waited for.
 * @throws the first failure, or the signal's reason, also when it aborts after the last item has begun
 */
export async function mapConcurrent<Item, Result>(
  items: readonly Item[],
  limit: number,
  fn: (item: Item, signal: AbortSignal, index: number) => Promise<Result>,
  { signal }: { signal?: Signals } = {},
): Promise<Result[]> {
  checkLimit(limit);
  const { controller, release } = linkedController(signal);
  const results = new Array<Result>(items.length);
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < items.length && !controller.signal.aborted) {
      const index = next++;
      try {
        results[index] = await fn(items[index], controller.signal, index);
      } catch (error) {
        controller.abort(error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, work));
  release();
  controller.signal.throwIfAborted();
  return results;
}

/**
 * `fn` of every item, in order, with at most `limit` under way: while a result is used, the next ones are made. A failure is thrown when its
 * turn comes, after the results before it; then, and when the caller asks for no more, the signal given to `fn` aborts, and those under way
 * are waited for. After an abort no item is begun, and what `fn` has made already is still given.
 * @throws the first failure, of `items` too; the signal's reason
 */
export async function* mapAhead<Item, Result>(
  items: Iterable<Item> | AsyncIterable<Item>,
  limit: number,
  fn: (item: Item, signal: AbortSignal) => Promise<Result>,
  { signal }: { signal?: Signals } = {},
): AsyncGenerator<Result, void, undefined> {
  checkLimit(limit);
  const { controller, release } = linkedController(signal);
  const underWay: Promise<Result>[] = [];
  try {
    for await (const item of items) {
      controller.signal.throwIfAborted();
      const result = start(() => fn(item, controller.signal));
      // Awaited later: a failure meanwhile is no unhandled one.
      result.catch(() => {});
      underWay.push(result);
      if (underWay.length >= limit) yield await (underWay.shift() as Promise<Result>);
    }
    while (underWay.length > 0) yield await (underWay.shift() as Promise<Result>);
  } finally {
    release();
    controller.abort(new Error("internal: the results are no longer wanted"));
    await Promise.allSettled(underWay);
  }
}

interface WaitingTask {
  key: string | undefined;
  begin: () => void;
}

/** Lets at most so many tasks run at once, and at most so many of one key; the others wait in the order in which they came. */
export class Gate {
  readonly #limit: number;
  readonly #limitPerKey: number;
  readonly #waiting = new Set<WaitingTask>();
  readonly #runningOf = new Map<string, number>();
  #running = 0;
  readonly #onIdle: (() => void)[] = [];

  constructor(limit: number, { perKey = Infinity }: { perKey?: number } = {}) {
    checkLimit(limit);
    checkLimit(perKey);
    this.#limit = limit;
    this.#limitPerKey = perKey;
  }

  /**
   * Runs a task in its turn. A task that waits for its key holds up no other key. When the signal aborts, the caller gets the reason at
   * once: a task that waits never begins, one that has begun keeps its place until it is done, so that aborted calls pile up no work.
   * @throws what the task throws; the signal's reason
   */
  run<Answer>(task: () => Promise<Answer>, { signal, key }: { signal?: Signals; key?: string } = {}): Promise<Answer> {
    let waiting: WaitingTask | undefined;
    const answer = new Promise<Answer>((resolve, reject) => {
      waiting = { key, begin: () => void this.#run(task, key).then(resolve, reject) };
      this.#waiting.add(waiting);
    });
    const outcome = orAborted(answer, signal, () => this.#waiting.delete(waiting as WaitingTask));
    this.#admit();
    return outcome;
  }

  /** Tasks that run or wait. */
  get size(): number {
    return this.#running + this.#waiting.size;
  }

  /** Resolves when no task runs; then none waits, either. */
  idle(): Promise<void> {
    if (this.#running === 0) return Promise.resolve();
    return new Promise((resolve) => this.#onIdle.push(resolve));
  }

  #admit(): void {
    for (const task of this.#waiting) {
      if (this.#running >= this.#limit) return;
      if (task.key !== undefined && this.#runningWith(task.key) >= this.#limitPerKey) continue;
      this.#waiting.delete(task);
      task.begin();
    }
  }

  async #run<Answer>(task: () => Promise<Answer>, key: string | undefined): Promise<Answer> {
    this.#count(key, 1);
    try {
      return await task();
    } finally {
      this.#count(key, -1);
      this.#admit();
      if (this.#running === 0) for (const resolve of this.#onIdle.splice(0)) resolve();
    }
  }

  #runningWith(key: string): number {
    return this.#runningOf.get(key) ?? 0;
  }

  #count(key: string | undefined, change: 1 | -1): void {
    this.#running += change;
    if (key === undefined) return;
    const running = this.#runningWith(key) + change;
    // Keys are many: idle ones are forgotten.
    if (running === 0) this.#runningOf.delete(key);
    else this.#runningOf.set(key, running);
  }
}

/** Turns what a task throws before its first await into a rejection. */
async function start<Answer>(task: () => Promise<Answer>): Promise<Answer> {
  return task();
}

function checkLimit(limit: number): void {
  if (!(limit >= 1)) throw new RangeError(`At least one task must run at once, got ${limit}.`);
}

/** Long work in one thread that lets other work run: whenever a slice of time is over, `await slice.next()`. */
export class TimeSlice {
  readonly #ms: number;
  #began = performance.now();

  /** @param ms longest stretch of work, in milliseconds */
  constructor(ms = 5) {
    this.#ms = ms;
  }

  get isOver(): boolean {
    return performance.now() - this.#began >= this.#ms;
  }

  /** Lets other work run, then begins the next slice. */
  async next(): Promise<void> {
    await nextTurn();
    this.#began = performance.now();
  }
}

/**
 * What `work` makes of each item, one after another, in slices of time.
 * @throws the signal's reason when it aborts
 */
export async function mapInSlices<Item, Result>(
  items: readonly Item[],
  work: (item: Item) => Result | Promise<Result>,
  signal?: AbortSignal,
): Promise<Result[]> {
  const slice = new TimeSlice();
  const results: Result[] = [];
  for (const item of items) {
    results.push(await work(item));
    if (!slice.isOver) continue;
    await slice.next();
    signal?.throwIfAborted();
  }
  return results;
}

/**
 * Runs a generator to its end, in slices of time.
 * @param options.onStep called with what the generator yields, once a slice
 * @throws the signal's reason when it aborts
 */
export async function drain<Step, Result>(
  steps: Generator<Step, Result>,
  { signal, onStep }: { signal?: AbortSignal; onStep?: (step: Step) => void } = {},
): Promise<Result> {
  const slice = new TimeSlice();
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
    if (!slice.isOver) continue;
    onStep?.(step.value);
    await slice.next();
    signal?.throwIfAborted();
  }
}
