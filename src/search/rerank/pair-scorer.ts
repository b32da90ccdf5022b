/** @file What judges how well a passage answers a query: a cross-encoder in a worker, or a `/rerank` service. */
import type { SearchOptions } from "../engine.js";

/** One query with one of its own passages: a pair is one record, so that nothing can be scored against another's query. */
export interface Pair {
  query: string;
  /** `(Title: title) text`, or the text alone where there is no title, as Search-R1's reranker reads it. */
  passage: string;
}

export interface PairScorer {
  readonly name: string;
  /**
   * One finite score per pair, higher is better. A pair's score does not depend on the other pairs.
   * @throws SearchError when the model or the service fails; the signal's reason
   */
  score(pairs: readonly Pair[], options?: SearchOptions): Promise<number[]>;
  counts?(): Readonly<Record<string, number>>;
  close(): Promise<void>;
}
