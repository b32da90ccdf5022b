/** @file How many requests a run may send to servers, what they cost, and a file that remembers both when the run goes on another day. */
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { UserError } from "../../errors.js";
import { parseJsonLines } from "../../files/lines.js";
import { SearchError } from "../engine.js";
import type { Counts } from "../engine.js";

interface BudgetSettings {
  /** Requests in all, retries included. 0: no bound. */
  maxRequests: number;
  /**
   * Where each request is written down before it is sent, a line each; processes may share it. What stands there counts as spent. Absent:
   * counted for this process alone.
   */
  file?: string;
}

interface Line {
  engine: string;
  usd: number;
}

/**
 * Counts requests before they are sent, and refuses those beyond the bound. Requests that fail count too: servers bill most of them, and a
 * bound that failures can exceed would be useless.
 */
export class Budget {
  readonly #settings: BudgetSettings;
  #requests = 0;
  #spentUsd = 0;
  #refused = 0;

  /** @throws UserError for a file that cannot be read */
  constructor(settings: BudgetSettings) {
    this.#settings = settings;
    for (const { usd } of settings.file === undefined ? [] : readLines(settings.file)) {
      this.#requests++;
      this.#spentUsd += usd;
    }
  }

  /** @throws SearchError, not retryable, when nothing is left */
  check(engine: string): void {
    const { maxRequests } = this.#settings;
    if (maxRequests === 0 || this.#requests < maxRequests) return;
    this.#refused++;
    throw new SearchError(
      `${engine}: the budget of ${maxRequests} requests is used up (search.maxRequests). Raise it to go on searching, or set search.cacheMode=replay to live on what the cache holds.`,
      { engine, isRetryable: false },
    );
  }

  /**
   * One request that is about to be sent.
   * @param usd what it is expected to cost
   * @throws SearchError as `check`, and when it cannot be written down
   */
  spend(engine: string, usd: number): void {
    this.check(engine);
    this.#requests++;
    this.#spentUsd += usd;
    const { file } = this.#settings;
    if (file === undefined) return;
    try {
      // At once and in one piece: a request that was sent is written down, whatever happens next. The break in front parts it from a torn line.
      appendFileSync(file, `\n${JSON.stringify({ engine, usd } satisfies Line)}`);
    } catch (cause) {
      const why = `the request cannot be written down in ${file}: ${(cause as Error).message}`;
      throw new SearchError(`${engine}: ${why}. Without that the budget would not hold when the run goes on.`, {
        engine,
        isRetryable: true,
        cause,
      });
    }
  }

  /** Earlier processes included. Engines count `requests` of their own: those of this process. */
  counts(): Counts {
    return { budgetedRequests: this.#requests, spentUsd: this.#spentUsd, refusedRequests: this.#refused };
  }
}

function readLines(file: string): Line[] {
  if (!existsSync(file)) return [];
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    const advice = "See to the file's permissions, or remove it to begin counting anew.";
    throw new UserError(
      `The requests counted so far cannot be read from ${file}: ${(cause as Error).message}. ${advice}`,
      {
        cause,
      },
    );
  }
  // A torn line is a request too: it was being written because one was about to be sent.
  return parseJsonLines(text).map((line) => {
    const { engine = "unknown", usd } = (line ?? {}) as Partial<Line>;
    return { engine: String(engine), usd: typeof usd === "number" && Number.isFinite(usd) ? usd : 0 };
  });
}
