/** @file A bound on what clients make a server hold. Where it is full, the client that has stood still longest makes room for the next. */

/** What one client makes the server hold. */
export interface Holding {
  amount: number;
  /** Of its beginning or its last progress. Milliseconds of `performance.now()`. */
  since: number;
  /** Ends the client's request, which has stood still for too long; nothing once released. */
  cut: () => void;
}

interface BudgetSettings {
  /** Of all holdings together; a single one may be larger. */
  limit: number;
  /** A holding without progress for so long is cut when another needs room. Milliseconds. */
  graceMs: number;
}

/** What all clients make the server hold, together. */
export class Budget {
  readonly #settings: BudgetSettings;
  /** That may be cut, the longest without progress first. */
  readonly #waiting = new Set<Holding>();
  #used = 0;
  #cuts = 0;

  constructor(settings: BudgetSettings) {
    this.#settings = settings;
  }

  /** The amounts of all holdings. */
  get used(): number {
    return this.#used;
  }

  /** Holdings cut so far. */
  get cuts(): number {
    return this.#cuts;
  }

  /** @returns undefined where there is no room */
  hold(amount: number, cut: () => void): Holding | undefined {
    const now = performance.now();
    if (!this.#makeRoom(amount, now)) return undefined;
    const holding = { amount, since: now, cut };
    this.#used += amount;
    this.#waiting.add(holding);
    return holding;
  }

  /** So much more of it. False: there is no room, and nothing has changed. */
  grow(holding: Holding, amount: number): boolean {
    const isAlone = this.#used === holding.amount;
    if (!isAlone && !this.#makeRoom(amount, performance.now())) return false;
    // Making room may have cut this one.
    if (!this.#waiting.has(holding)) return false;
    holding.amount += amount;
    this.#used += amount;
    return true;
  }

  /** So much of it is gone, and its client stands still no longer. */
  shrink(holding: Holding, amount: number): void {
    if (!this.#waiting.delete(holding)) return;
    const gone = Math.min(amount, holding.amount);
    holding.amount -= gone;
    this.#used -= gone;
    holding.since = performance.now();
    this.#waiting.add(holding);
  }

  /** From now on it waits for this server, not for its client, and is not cut. It still counts. */
  keep(holding: Holding): void {
    this.#waiting.delete(holding);
  }

  release(holding: Holding): void {
    this.#waiting.delete(holding);
    this.#used -= holding.amount;
    holding.amount = 0;
    // An outgrown table of the set may reach the holding until the next full collection. It should not reach the request and its answer.
    holding.cut = () => {};
  }

  /** Cuts what has stood still for so many milliseconds; 0: all that waits for clients. */
  cutOlderThan(ms: number): void {
    const now = performance.now();
    for (const holding of this.#waiting) {
      if (now - holding.since < ms) return;
      this.#cut(holding);
    }
  }

  #makeRoom(amount: number, now: number): boolean {
    const { limit, graceMs } = this.#settings;
    const fits = (): boolean => this.#used === 0 || this.#used + amount <= limit;
    for (const holding of this.#waiting) {
      if (fits() || now - holding.since < graceMs) break;
      this.#cut(holding);
    }
    return fits();
  }

  #cut(holding: Holding): void {
    this.#cuts++;
    const { cut } = holding;
    this.release(holding);
    cut();
  }
}
