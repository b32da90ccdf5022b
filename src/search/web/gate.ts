/** @file At most so many at once, and fewer of them at one host. */

/** Waiting lines: one for all, and one before it for each host. */
export class Gate {
  private readonly everybody: Line;
  private readonly hosts = new Map<string, Line>();
  private readonly perHost: number;

  constructor(total: number, perHost: number) {
    this.everybody = new Line(total);
    this.perHost = perHost;
  }

  /**
   * Runs a task when its turn has come. Who waits for a host takes up no place of the others.
   * @throws what the task throws; the signal's reason while waiting
   */
  async run<T>(host: string, signal: AbortSignal, task: () => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    let line = this.hosts.get(host);
    if (line === undefined) this.hosts.set(host, (line = new Line(this.perHost)));
    await line.enter(signal);
    try {
      await this.everybody.enter(signal);
      try {
        return await task();
      } finally {
        this.everybody.leave();
      }
    } finally {
      line.leave();
      if (line.isEmpty) this.hosts.delete(host);
    }
  }
}

class Line {
  private readonly places: number;
  private taken = 0;
  private readonly waiting = new Set<() => void>();

  constructor(places: number) {
    this.places = places;
  }

  get isEmpty(): boolean {
    return this.taken === 0 && this.waiting.size === 0;
  }

  async enter(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.taken < this.places) {
      this.taken++;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const called = (): void => {
        signal.removeEventListener("abort", gaveUp);
        resolve();
      };
      const gaveUp = (): void => {
        this.waiting.delete(called);
        reject(signal.reason as Error);
      };
      signal.addEventListener("abort", gaveUp, { once: true });
      this.waiting.add(called);
    });
  }

  /** The place goes to who has waited longest. */
  leave(): void {
    const [next] = this.waiting;
    if (next === undefined) {
      this.taken--;
      return;
    }
    this.waiting.delete(next);
    next();
  }
}
