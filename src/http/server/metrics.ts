/** @file What every server counts, and Prometheus' text format (version 0.0.4). */

/** Upper bounds of the histogram of request times. Seconds. */
const bounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** What the connections of a server hold. */
export interface Held {
  requestBytes: number;
  unsentBytes: number;
  /** Requests and answers ended so far because their clients stood still. */
  cuts: number;
}

type Samples = readonly (readonly [suffix: string, value: number])[];

/** A page of metrics, written line by line. */
export class MetricsText {
  readonly #prefix: string;
  readonly #lines: string[] = [];

  /** @param prefix of the names that follow: `sleuth_search` */
  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** A metric with one value. */
  one(name: string, type: "counter" | "gauge", help: string, value: number): void {
    this.many(name, type, help, [["", value]]);
  }

  /** A metric with several samples. @param samples what follows its name, such as labels, and the value */
  many(name: string, type: "counter" | "gauge" | "histogram", help: string, samples: Samples): void {
    const full = `${this.#prefix}_${name}`;
    this.#lines.push(`# HELP ${full} ${help}`, `# TYPE ${full} ${type}`);
    for (const [suffix, value] of samples) this.#lines.push(`${full}${suffix} ${value}`);
  }

  toString(): string {
    return `${this.#lines.join("\n")}\n`;
  }
}

/** Times by how long they took. */
export class Histogram {
  readonly #bounds: readonly number[];
  readonly #buckets: number[];
  #seconds = 0;
  #count = 0;

  /** @param longest further bounds, for what takes longer than a search. Seconds. */
  constructor(longest: readonly number[] = []) {
    this.#bounds = [...bounds, ...longest];
    this.#buckets = this.#bounds.map(() => 0);
  }

  add(seconds: number): void {
    this.#seconds += seconds;
    this.#count++;
    const bucket = this.#bounds.findIndex((bound) => seconds <= bound);
    if (bucket >= 0) this.#buckets[bucket]++;
  }

  samples(): Samples {
    let below = 0;
    return [
      ...this.#bounds.map((bound, bucket) => [`_bucket{le="${bound}"}`, (below += this.#buckets[bucket])] as const),
      ['_bucket{le="+Inf"}', this.#count],
      ["_sum", this.#seconds],
      ["_count", this.#count],
    ];
  }
}

/** What a server counts of its requests, whatever they ask for. */
export class RequestMetrics {
  /** Requests that were understood. */
  requests = 0;
  /** Requests that could not be answered for reasons that lie here. */
  failures = 0;
  /** Requests turned away because too much was under way. */
  overloads = 0;
  /** Requests under way. */
  inFlight = 0;
  /** What the connections hold. */
  held: () => Held = () => ({ requestBytes: 0, unsentBytes: 0, cuts: 0 });
  readonly #byStatus = new Map<number, number>();
  readonly #times: Histogram;

  /** @param longest as the histogram's */
  constructor(longest?: readonly number[]) {
    this.#times = new Histogram(longest);
  }

  /** A request was answered, well or not. */
  answered(status: number, ms: number): void {
    this.#byStatus.set(status, (this.#byStatus.get(status) ?? 0) + 1);
    this.#times.add(ms / 1000);
  }

  /** @param noun what is asked for, in the plural: "searches" */
  render(page: MetricsText, noun: string, isReady: boolean): void {
    const { requestBytes, unsentBytes, cuts } = this.held();
    const Noun = noun[0].toUpperCase() + noun.slice(1);
    page.one("ready", "gauge", `1 while ${noun} are answered, 0 while the server opens or drains.`, isReady ? 1 : 0);
    page.one("in_flight", "gauge", `${Noun} under way.`, this.inFlight);
    page.one("request_bytes", "gauge", "Bytes of requests that are received or under way.", requestBytes);
    page.one("unsent_bytes", "gauge", "Bytes of answers that clients have yet to read, about.", unsentBytes);
    page.one("cuts_total", "counter", "Requests and answers ended because their clients stood still.", cuts);
    const byStatus = [...this.#byStatus].sort(([a], [b]) => a - b);
    page.many(
      "requests_total",
      "counter",
      `${Noun} answered, by HTTP status.`,
      byStatus.map(([status, count]) => [`{status="${status}"}`, count] as const),
    );
    page.one("failures_total", "counter", `${Noun} that could not be answered.`, this.failures);
    page.one("overloads_total", "counter", `${Noun} turned away because too much was under way.`, this.overloads);
    page.many("request_seconds", "histogram", "Time from a request's arrival to its answer.", this.#times.samples());
  }
}

/** Names that Prometheus takes: cacheHits becomes cache_hits. */
export function snakeCase(name: string): string {
  return name
    .replace(/[^A-Za-z0-9]+/g, "_")
    .replace(/([a-z0-9])([A-Z])/g, "$1_$2")
    .toLowerCase();
}
