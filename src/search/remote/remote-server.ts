/** @file What engines that ask a server share: distinct queries in chunks, a few requests at a time. The rest is `Service`'s. */
import { nearest, UserError } from "../../errors.js";
import type { HttpTools, ServiceRequest } from "../../http/request.js";
import { askChunks, chunksOf, Refused } from "../../http/chunks.js";
import { shownAddress } from "../../http/credentials.js";
import { defaultService, Service, type ErrorDetails, type ServiceSettings } from "../../http/service.js";
import type { Passage } from "../../types.js";
import {
  SearchError,
  answeredLists,
  checkCount,
  forDistinct,
  withMarks,
  type Counts,
  type PassageList,
  type SearchEngine,
  type SearchOptions,
} from "../engine.js";
import { withoutRepeats } from "../same-passage.js";

export interface RemoteSettings extends ServiceSettings {
  /** Most queries in one request. */
  chunkSize: number;
  /** Most requests of one search at once. */
  concurrency: number;
}

export const defaultRemote: RemoteSettings = { ...defaultService, chunkSize: 256, concurrency: 4 };

export class RemoteServer extends Service {
  readonly chunks: Pick<RemoteSettings, "chunkSize" | "concurrency">;

  /**
   * @param names for messages: `name` "opensearch", `title` "OpenSearch server", and the address, which must hold no credentials
   * @param secrets what no message may show, beside credentials in the settings' headers
   */
  constructor(
    { name, title, url }: { name: string; title: string; url: string },
    settings: RemoteSettings,
    tools: Partial<HttpTools>,
    secrets?: readonly string[],
  ) {
    const error = (message: string, details: ErrorDetails): SearchError =>
      new SearchError(message, { engine: name, ...details });
    super({ settings, title, url, secrets, error }, tools);
    this.chunks = settings;
  }

  /**
   * What the server says about itself or what it holds; undefined where there is no such thing (404).
   * @param permission what to do where the server refuses to say it: "wants another user. Set …"
   * @throws UserError for a refusal; SearchError
   */
  async lookUp(request: ServiceRequest, signal: AbortSignal, permission: string): Promise<unknown> {
    try {
      return await this.json(request, signal, (answer) => answer);
    } catch (error) {
      if (!(error instanceof SearchError)) throw error;
      if (error.status === 404) return undefined;
      if (error.status === 401 || error.status === 403) throw new UserError(`${shownAddress(this.url)} ${permission}`);
      throw error;
    }
  }

  /** For a name that the server does not know: what it has instead. */
  unknownName(what: string, name: string, known: readonly string[]): UserError {
    const hint = nearest(name, known);
    const there = known.length === 0 ? "There is none at" : `There are ${known.slice(0, 20).join(", ")} at`;
    return new UserError(
      `${what} ${there} ${shownAddress(this.url)}.${hint === undefined ? "" : ` Did you mean ${hint}?`}`,
    );
  }
}

/** An engine whose searches are requests to one server. */
export abstract class RemoteEngine implements SearchEngine {
  abstract readonly name: string;
  protected readonly server: RemoteServer;
  #duplicates = 0;
  #refused = 0;

  constructor(server: RemoteServer) {
    this.server = server;
  }

  /** Lists lose passages that they hold already and what is beyond `k`. */
  async searchBatch(queries: readonly string[], k: number, { signal }: SearchOptions = {}): Promise<PassageList[]> {
    checkCount(k);
    return this.server.call(signal, (whole) =>
      forDistinct(queries, async (distinct) => {
        const { chunkSize, concurrency } = this.server.chunks;
        const chunking = { concurrency, sizeOf: (query: string) => query.length };
        const ask = (chunk: readonly string[], until: AbortSignal): Promise<(Passage[] | Refused)[]> =>
          this.ask(chunk, k, until);
        const answers = await askChunks(chunksOf(distinct, chunkSize), chunking, whole, ask);
        this.#refused += answers.filter((answer) => answer instanceof Refused).length;
        return answeredLists(answers).map((list) => this.#shortened(list, k));
      }),
    );
  }

  /** `duplicates`: passages that a list held twice; `queriesRefused`: queries that the server does not take. */
  counts(): Counts {
    return { ...this.server.counts(), duplicates: this.#duplicates, queriesRefused: this.#refused };
  }

  /** Ends requests under way; they fail with a `SearchError`. */
  async close(): Promise<void> {
    this.server.close("the engine is closed");
  }

  /** The passages of each query of a chunk, best first, or that it is refused. Where a refusal fails all of them, each is asked alone. */
  protected abstract ask(queries: readonly string[], k: number, signal: AbortSignal): Promise<(Passage[] | Refused)[]>;

  #shortened(list: PassageList, k: number): PassageList {
    const kept = withoutRepeats(list);
    this.#duplicates += list.length - kept.length;
    return withMarks(kept.slice(0, k), list);
  }
}
