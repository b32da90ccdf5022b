/** @file What a search server counts beside its requests. */
import { MetricsText, RequestMetrics, snakeCase } from "../../http/server/metrics.js";

/** The counts of one server. */
export class ServerMetrics extends RequestMetrics {
  queries = 0;

  /** @param engine what the engine has counted, by name and adding up */
  page(isReady: boolean, batches: number, waiting: number, engine: Readonly<Record<string, number>>): string {
    const page = new MetricsText("sleuth_search");
    this.render(page, "searches", isReady);
    page.one("waiting_queries", "gauge", "Queries that wait for the engine.", waiting);
    page.one("queries_total", "counter", "Queries in requests that were understood.", this.queries);
    page.one("batches_total", "counter", "Batches of queries given to the engine.", batches);
    const counts = new MetricsText("sleuth_engine");
    for (const [name, value] of Object.entries(engine))
      counts.one(`${snakeCase(name)}_total`, "counter", `What the engine counts as ${name}.`, value);
    return `${page.toString()}${counts.toString()}`;
  }
}
