/** @file Any server that speaks Search-R1's `/retrieve`, as a search engine: ours, theirs, or a colleague's. */
import { serviceUrl } from "../../http/credentials.js";
import { ServiceFailure, type HttpTools } from "../../http/request.js";
import type { Passage } from "../../types.js";
import { WireError, fromAnswer } from "../serving/wire.js";
import { RemoteEngine, RemoteServer, defaultRemote, type RemoteSettings } from "./remote-server.js";

export interface HttpSettings extends RemoteSettings {
  /** The server, with or without `/retrieve`. */
  url: string;
  /** Asks for scores. Without them passages get 1/rank; some servers know only the one, some only the other. */
  returnScores: boolean;
  /** Sent as `authorization: Bearer …`, and shown nowhere; empty: nothing is sent. */
  token: string;
}

const defaults: Omit<HttpSettings, "url"> = { ...defaultRemote, returnScores: true, token: "" };

/**
 * Asks each distinct query once, in chunks. Requests that time out, cannot connect, break off, or are answered with 408,
 * 425, 429 or 5xx are tried again; nonsense and other statuses fail at once; a server that keeps failing is left alone for a while.
 * Every failure is a `SearchError`.
 */
export class HttpEngine extends RemoteEngine {
  readonly name = "http";
  readonly url: string;
  readonly #returnScores: boolean;

  /** @throws UserError for an address that is no http(s) URL. */
  constructor(given: Partial<HttpSettings> & { url: string }, tools: Partial<HttpTools> = {}) {
    const settings = { ...defaults, ...given };
    const { token, headers } = settings;
    const parsed = serviceUrl(settings.url, {
      name: "The search server's address",
      example: "http://127.0.0.1:8000/retrieve",
      keyAdvice: "Put it into SLEUTH_SEARCH_TOKEN.",
    });
    if (parsed.pathname === "/") parsed.pathname = "/retrieve";
    const authorization: Record<string, string> = token === "" ? {} : { authorization: `Bearer ${token}` };
    super(
      new RemoteServer(
        { name: "http", title: "Search server", url: parsed.href },
        { ...settings, headers: { ...authorization, ...headers } },
        tools,
      ),
    );
    this.url = parsed.href;
    this.#returnScores = settings.returnScores;
  }

  protected async ask(queries: readonly string[], k: number, signal: AbortSignal): Promise<Passage[][]> {
    // JSON can hold halves of surrogate pairs, UTF-8 cannot: servers written in Python fail on them.
    const wellFormed = queries.map((query) => query.toWellFormed());
    const body = JSON.stringify({ queries: wellFormed, topk: k, return_scores: this.#returnScores });
    return this.server.json({ url: this.url, body }, signal, (answer) => {
      try {
        return fromAnswer(answer, queries.length);
      } catch (error) {
        if (!(error instanceof WireError)) throw error;
        throw new ServiceFailure(`the answer is not what /retrieve promises: ${error.message}`);
      }
    });
  }
}
