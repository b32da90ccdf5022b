/** @file What a search server counts, and Prometheus' text format (version 0.0.4) of it. */

/** Upper bounds of the histogram of request times. Seconds. */
const bounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

interface Held {
  requestBytes: number;
  unsentBytes: number;
  /** Requests and answers ended so far because their clients stood still. */
  cuts: number;
}

/** The counts of one server. */
export class ServerMetrics {
  /** Requests that were understood. */
  requests = 0;
  queries = 0;
  /** Requests that the engine could not answer. */
  failures = 0;
  /** Requests turned away because too much was under way. */
  overloads = 0;
  /** Requests under way. */
  inFlight = 0;
  /** What the connections hold. */
  held: () => Held = () => ({ requestBytes: 0, unsentBytes: 0, cuts: 0 });
  readonly #byStatus = new Map<number, number>();
  readonly #buckets = bounds.map(() => 0);
  #seconds = 0;
  #timed = 0;

  /** A search was answered, well or not. */
  answered(status: number, ms: number): void {
    this.#byStatus.set(status, (this.#byStatus.get(status) ?? 0) + 1);
    const seconds = ms / 1000;
    this.#seconds += seconds;
    this.#timed++;
    const bucket = bounds.findIndex((bound) => seconds <= bound);
    if (bucket >= 0) this.#buckets[bucket]++;
  }

  /** @param engine what the engine has counted, by name and adding up */
  render(isReady: boolean, batches: number, waiting: number, engine: Readonly<Record<string, number>>): string {
    const lines: string[] = [];
    const metric = (
      name: string,
      type: string,
      help: string,
      samples: readonly (readonly [string, number])[],
    ): void => {
      lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
      for (const [suffix, value] of samples) lines.push(`${name}${suffix} ${value}`);
    };
    const one = (name: string, type: string, help: string, value: number): void =>
      metric(`sleuth_search_${name}`, type, help, [["", value]]);
    one(
      "ready",
      "gauge",
      "1 while searches are answered, 0 while the engine opens or the server drains.",
      isReady ? 1 : 0,
    );
    one("in_flight", "gauge", "Searches under way.", this.inFlight);
    const { requestBytes, unsentBytes, cuts } = this.held();
    one("request_bytes", "gauge", "Bytes of requests that are received or under way.", requestBytes);
    one("unsent_bytes", "gauge", "Bytes of answers that clients have yet to read, about.", unsentBytes);
    one("cuts_total", "counter", "Requests and answers ended because their clients stood still.", cuts);
    one("waiting_queries", "gauge", "Queries that wait for the engine.", waiting);
    metric(
      "sleuth_search_requests_total",
      "counter",
      "Searches answered, by HTTP status.",
      [...this.#byStatus].sort(([a], [b]) => a - b).map(([status, count]) => [`{status="${status}"}`, count] as const),
    );
    one("queries_total", "counter", "Queries in requests that were understood.", this.queries);
    one("failures_total", "counter", "Searches that the engine could not answer.", this.failures);
    one("overloads_total", "counter", "Searches turned away because too much was under way.", this.overloads);
    one("batches_total", "counter", "Batches of queries given to the engine.", batches);
    metric(
      "sleuth_search_request_seconds",
      "histogram",
      "Time from a search's arrival to its answer.",
      this.#histogram(),
    );
    for (const [name, value] of Object.entries(engine))
      metric(`sleuth_engine_${snakeCase(name)}_total`, "counter", `What the engine counts as ${name}.`, [["", value]]);
    return `${lines.join("\n")}\n`;
  }

  #histogram(): (readonly [string, number])[] {
    let below = 0;
    return [
      ...bounds.map((bound, bucket) => [`_bucket{le="${bound}"}`, (below += this.#buckets[bucket])] as const),
      ['_bucket{le="+Inf"}', this.#timed],
      ["_sum", this.#seconds],
      ["_count", this.#timed],
    ];
  }
}

/** Names that Prometheus takes: cacheHits becomes cache_hits. */
function snakeCase(name: string): string {
  return name
    .replace(/[^A-Za-z0-9]+/g, "_")
    .replace(/([a-z0-9])([A-Z])/g, "$1_$2")
    .toLowerCase();
}
