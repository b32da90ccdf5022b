/** @file Work in this thread that lets other work have its turn. */

/** Longest stretch of work, in milliseconds. */
const patienceMs = 5;

export class Breather {
  #last = performance.now();

  /** Whether it is time for a pause. */
  get isDue(): boolean {
    return performance.now() - this.#last >= patienceMs;
  }

  async pause(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    this.#last = performance.now();
  }
}

/**
 * Runs a generator to its end with pauses in between.
 * @throws the signal's reason when cancelled
 */
export async function drain<Step, Result>(
  steps: Generator<Step, Result>,
  { signal, onStep }: { signal?: AbortSignal; onStep?: (step: Step) => void } = {},
): Promise<Result> {
  const breather = new Breather();
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
    if (!breather.isDue) continue;
    onStep?.(step.value);
    await breather.pause();
    signal?.throwIfAborted();
  }
}
