/** @file The engine that finds nothing: the control for what a policy answers without help. */
import type { Passage } from "../types.js";
import { checkCount, checkSignal } from "./engine.js";
import type { SearchEngine, SearchOptions } from "./engine.js";

export class NoneEngine implements SearchEngine {
  readonly name = "none";

  async searchBatch(queries: readonly string[], k: number, options: SearchOptions = {}): Promise<Passage[][]> {
    checkCount(k);
    checkSignal(options.signal);
    return queries.map(() => []);
  }

  async close(): Promise<void> {}
}
