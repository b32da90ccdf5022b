/**
 * @file One way to put something around an engine. A layer holds its idea alone: inside, queries are distinct, `k` and the signal were checked,
 * and answers have been. `WrappedEngine` is the door: what comes in is checked and deduplicated there, what goes out is copied, once,
 * however many layers lie behind it.
 */
import { checkCount, checkLists, checkSignal, forDistinct, withMarks } from "../engine.js";
import type { Counts, PassageList, SearchEngine, SearchOptions } from "../engine.js";

export interface LayerOptions extends SearchOptions {
  /** How many of the caller's queries repeat one that is asked, for layers that count them. Default 0. */
  repeated?: number;
}

/** The inside of a wrapper: an engine, or a layer around others. */
export interface Layer {
  readonly name: string;
  /**
   * @param queries distinct, and at least one
   * @returns a list for each query; other callers may have the same list, so it is not to be changed
   */
  search(queries: readonly string[], k: number, options: LayerOptions): Promise<readonly PassageList[]>;
  /** Its own counts with those of the layers inside. */
  counts(): Counts;
  /** Closes the layers inside, too; called once. */
  close(): Promise<void>;
}

/** An engine as the innermost layer: its answers are checked, since it may be foreign code. */
export function layerOf(engine: SearchEngine): Layer {
  return {
    name: engine.name,
    search: async (queries, k, { signal }) =>
      checkLists(await engine.searchBatch(queries, k, { signal }), queries.length, engine.name),
    counts: () => engine.counts?.() ?? {},
    close: () => engine.close(),
  };
}

/** Layers as an engine. */
export class WrappedEngine implements SearchEngine {
  readonly name: string;
  readonly #layer: Layer;
  #closing: Promise<void> | undefined;

  constructor(layer: Layer) {
    this.name = layer.name;
    this.#layer = layer;
  }

  async searchBatch(queries: readonly string[], k: number, { signal }: SearchOptions = {}): Promise<PassageList[]> {
    checkCount(k);
    checkSignal(signal);
    return forDistinct(queries, (distinct) =>
      this.#layer.search(distinct, k, { signal, repeated: queries.length - distinct.length }),
    );
  }

  counts(): Counts {
    return this.#layer.counts();
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#layer.close());
  }
}

/** The first `k` passages of a list; engines promise that these are their answer to a smaller `k`. */
export function firstOf(list: PassageList, k: number): PassageList {
  return list.length <= k ? list : withMarks(list.slice(0, k), list);
}
