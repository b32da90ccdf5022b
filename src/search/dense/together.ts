/** @file Queries that are asked at the same time are encoded together: one run of the model, one request. */
import type { SearchOptions } from "../engine.js";
import type { Encoder } from "./encoder.js";

interface Asking {
  queries: readonly string[];
  resolve: (vectors: Float32Array) => void;
  reject: (reason: unknown) => void;
  /** Once it is being answered: says that its caller has left. */
  onLeave?: () => void;
}

/** Most queries of one call. */
const queriesPerCall = 256;

export class TogetherEncoder {
  readonly #encoder: Encoder;
  #waiting: Asking[] = [];
  #isBusy = false;

  constructor(encoder: Encoder) {
    this.#encoder = encoder;
  }

  /** Unit vectors of the queries, [queries × dimensions]. What is asked while a call is under way goes into the next one. */
  encode(queries: readonly string[], { signal }: SearchOptions = {}): Promise<Float32Array> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason as Error);
      const onAbort = (): void => {
        this.#waiting = this.#waiting.filter((other) => other !== asking);
        reject(signal?.reason as Error);
        asking.onLeave?.();
      };
      const release = (): void => signal?.removeEventListener("abort", onAbort);
      const asking: Asking = {
        queries,
        resolve: (vectors) => (release(), resolve(vectors)),
        reject: (reason) => (release(), reject(reason as Error)),
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#waiting.push(asking);
      // Callers of the same moment first put in what they have.
      setImmediate(() => void this.#work());
    });
  }

  async #work(): Promise<void> {
    if (this.#isBusy) return;
    this.#isBusy = true;
    while (this.#waiting.length > 0) {
      let count = 0;
      const group = this.#waiting.filter((asking) => (count += asking.queries.length) <= queriesPerCall);
      if (group.length === 0) group.push(this.#waiting[0]);
      this.#waiting = this.#waiting.filter((asking) => !group.includes(asking));
      await this.#answer(group);
    }
    this.#isBusy = false;
  }

  async #answer(group: readonly Asking[]): Promise<void> {
    // When nobody waits any more, the call ends too.
    const unwanted = new AbortController();
    let waiting = group.length;
    for (const asking of group)
      asking.onLeave = () => {
        if (--waiting === 0) unwanted.abort(new Error("nobody waits for these vectors"));
      };
    try {
      const vectors = await this.#encoder.encode(
        group.flatMap(({ queries }) => queries),
        "query",
        { signal: unwanted.signal },
      );
      const { dimensions } = this.#encoder;
      let start = 0;
      for (const { queries, resolve } of group) {
        const end = start + queries.length * dimensions;
        resolve(vectors.slice(start, end));
        start = end;
      }
    } catch (error) {
      // Nobody pays for another's query.
      if (group.length === 1 || waiting === 0) for (const { reject } of group) reject(error);
      else for (const asking of group) await this.#answer([asking]);
    }
  }
}
