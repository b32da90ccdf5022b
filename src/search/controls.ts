/** @file The engine that finds nothing: the control for what a policy learns of searching when searching never helps. */
import type { Passage } from "../types.js";
import { checkCount, checkSignal } from "./engine.js";
import type { SearchEngine, SearchOptions } from "./engine.js";

export class EmptyEngine implements SearchEngine {
  readonly name: string = "empty";

  async searchBatch(queries: readonly string[], k: number, options: SearchOptions = {}): Promise<Passage[][]> {
    checkCount(k);
    checkSignal(options.signal);
    return queries.map(() => []);
  }

  async close(): Promise<void> {}
}
