/** @file The web as a search engine: a search service finds pages, and their snippets, or what stands on the pages, are the passages. */
import { setMaxListeners } from "node:events";
import { Gate } from "../../async.js";
import { UserError } from "../../errors.js";
import { CircuitBreaker, defaultBreaker, type BreakerSettings } from "../../http/breaker.js";
import { credentialIn } from "../../http/credentials.js";
import { excerpt, realTools, type HttpTools, type PostSettings, type RequestCounts } from "../../http/post.js";
import { defaultRetry } from "../../http/retry.js";
import type { Passage } from "../../types.js";
import { checkCount, checkSignal, SearchError } from "../engine.js";
import type { SearchEngine, SearchOptions } from "../engine.js";
import { withDeadline } from "../remote/deadline.js";
import { AskError, askService, hide } from "./ask.js";
import { cleanQuery, cleanText } from "./clean.js";
import type { Pages } from "./pages.js";
import { webProviders, WrongAnswer } from "./providers.js";
import type { WebEngineName, WebProvider, WebResult } from "./providers.js";

export interface WebSettings extends PostSettings {
  provider: WebEngineName;
  /** Values for the provider's `keys`, in their order. */
  keys: readonly string[];
  /** Where requests go; default: the provider's own address. */
  endpoint: string;
  /** Longest time for one query, further tries, further pages of results and reading pages included. Milliseconds. */
  deadlineMs: number;
  /** Most queries under way at once, over all calls. */
  concurrency: number;
  /** When the service is left alone, and for how long. */
  breaker: BreakerSettings;
  /** Reads the pages that were found; closed with the engine. Without it, snippets are the passages. */
  pages?: Pages;
}

const defaults: Omit<WebSettings, "provider" | "keys" | "endpoint"> = {
  ...defaultRetry,
  timeoutMs: 5_000,
  deadlineMs: 10_000,
  concurrency: 8,
  breaker: defaultBreaker,
  maxAnswerBytes: 8 * 1024 * 1024,
  headers: {},
};

/** Share of a query's time after which pages are no longer waited for: fused with others, an engine has four fifths of the time. */
const shareForPages = 0.7;

/**
 * Asks for each distinct query once; the services take one query a request. A passage's id is its address, its score 1/rank. A box above the results
 * (answer, knowledge graph) that names a page counts as the first of the k.
 */
export class WebEngine implements SearchEngine {
  readonly name: WebEngineName;
  readonly endpoint: string;
  readonly #provider: WebProvider;
  readonly #settings: Omit<WebSettings, "keys">;
  /** Hidden from whoever prints or clones an engine. */
  readonly #keys: readonly string[];
  readonly #tools: HttpTools;
  readonly #gate: Gate;
  readonly #closed = new AbortController();
  readonly #breaker: CircuitBreaker;
  readonly #asked: RequestCounts = { requests: 0, retries: 0, failures: 0 };

  /** @throws UserError for keys that are missing or could not be sent, or an address that is none */
  constructor(
    { keys, ...settings }: Partial<WebSettings> & Pick<WebSettings, "provider" | "keys">,
    tools: Partial<HttpTools> = {},
  ) {
    this.name = settings.provider;
    this.#provider = webProviders[settings.provider];
    this.#keys = checkKeys(keys, settings.provider);
    this.endpoint = checkEndpoint(settings.endpoint ?? this.#provider.endpoint ?? "", settings.provider);
    this.#settings = { ...defaults, ...settings, endpoint: this.endpoint };
    this.#tools = { ...realTools, ...tools };
    this.#gate = new Gate(this.#settings.concurrency);
    this.#breaker = new CircuitBreaker(this.#settings.breaker);
  }

  async searchBatch(queries: readonly string[], k: number, options: SearchOptions = {}): Promise<Passage[][]> {
    checkCount(k);
    checkSignal(options.signal);
    const distinct = [...new Set(queries)];
    const answers = new Map<string, Passage[]>();
    const { concurrency, deadlineMs } = this.#settings;
    // A query's deadline begins when its turn comes; this one bounds the wait for that, where other calls fill the line.
    const boundMs = Math.min(2 ** 31 - 1, (Math.ceil(distinct.length / concurrency) + 1) * deadlineMs);
    const task = async (signal: AbortSignal): Promise<void> => {
      // Each query listens, and there may be many.
      setMaxListeners(0, signal);
      const search = async (query: string): Promise<void> => {
        answers.set(query, await this.#gate.run(() => this.#search(query, k, signal), { signal }));
      };
      await Promise.all(distinct.map(search));
    };
    await withDeadline([options.signal, this.#closed.signal], boundMs, () => this.#late(boundMs), task);
    return queries.map((query) => (answers.get(query) as Passage[]).map((passage) => ({ ...passage })));
  }

  counts(): Readonly<Record<string, number>> {
    return { ...this.#asked, breakerOpen: this.#breaker.opened, ...this.#settings.pages?.counts };
  }

  /** Ends requests under way; they fail with a `SearchError`. */
  async close(): Promise<void> {
    if (!this.#closed.signal.aborted) this.#closed.abort(this.#error("the engine is closed", false));
    await this.#settings.pages?.close();
  }

  /** One query, within its deadline. */
  async #search(query: string, k: number, signal: AbortSignal): Promise<Passage[]> {
    const asked = cleanQuery(query, this.#provider.limits);
    if (asked === "") return [];
    const { deadlineMs, pages } = this.#settings;
    const start = performance.now();
    const late = (): SearchError => this.#late(deadlineMs);
    const found = await withDeadline([signal], deadlineMs, late, (until) => this.#find(asked, k, until));
    if (pages === undefined) return found;
    // What is left of the time, but for putting the answer together.
    const leftMs = Math.max(0, start + shareForPages * deadlineMs - performance.now());
    return withDeadline([signal], leftMs, late, (until) => {
      // Each page listens, and there may be many.
      setMaxListeners(0, until);
      return Promise.all(found.map((passage) => this.#read(passage, asked, pages, until, signal)));
    });
  }

  /** The passage with the page's words; as it is where the page cannot be read in time. */
  async #read(
    passage: Passage,
    query: string,
    pages: Pages,
    until: AbortSignal,
    signal: AbortSignal,
  ): Promise<Passage> {
    try {
      const text = await pages.excerpt(passage.id, query, passage.text, until);
      return text === undefined ? passage : { ...passage, text };
    } catch (error) {
      if (signal.aborted || !until.aborted) throw error;
      pages.counts.pagesFailed++;
      return passage;
    }
  }

  /** Pages of results until there are k; no page is asked for when the one before brought nothing new. */
  async #find(query: string, k: number, signal: AbortSignal): Promise<Passage[]> {
    const found = new Map<string, Passage>();
    for (let page = 0; page < this.#provider.maxPages && found.size < k; page++) {
      const before = found.size;
      for (const result of await this.#resultsOf(query, k, page, signal)) {
        const passage = passageOf(result, found.size + 1);
        if (passage !== undefined && !found.has(keyOf(passage.id))) found.set(keyOf(passage.id), passage);
      }
      if (found.size === before) break;
    }
    return [...found.values()].slice(0, k);
  }

  async #resultsOf(query: string, k: number, page: number, signal: AbortSignal): Promise<WebResult[]> {
    const asked = { query, k, page };
    const settings = this.#settings;
    const tools = this.#tools;
    const endpoint = this.endpoint;
    const breaker = this.#breaker;
    const request = this.#provider.request(asked, this.#keys);
    const secrets = this.#keys;
    let text: string;
    try {
      text = await askService(request, { endpoint, secrets, settings, tools, counts: this.#asked, breaker, signal });
    } catch (error) {
      if (!(error instanceof AskError)) throw error;
      const advice = this.#adviceFor(error);
      throw this.#error(`${error.message}${advice}`, error.isRetryable, error.status);
    }
    const shown = hide(text.slice(0, 2_000), secrets);
    let answer: unknown;
    try {
      answer = JSON.parse(text);
    } catch {
      throw this.#error(`the answer is not JSON: ${excerpt(shown)}${this.#formatAdvice(shown)}`, false, 200);
    }
    if (typeof answer !== "object" || answer === null || Array.isArray(answer))
      throw this.#error(`the answer is not an object: ${excerpt(shown)}`, false, 200);
    try {
      return this.#provider.results(answer as Record<string, unknown>, asked);
    } catch (error) {
      if (!(error instanceof WrongAnswer)) throw error;
      throw this.#error(hide(error.message, secrets), error.isRetryable, 200);
    }
  }

  /** What the user can do about a refusal. */
  #adviceFor({ refusal, status }: AskError): string {
    const { keys, keysFrom } = this.#provider;
    if (this.name === "searxng") {
      if (status === 403) return `. ${jsonAdvice}`;
      return status === 429
        ? '. Its limiter takes programs for robots: set "limiter: false" under "server" in its settings.yml'
        : "";
    }
    if (refusal === "key") return `. Check ${keys.join(" and ")}; keys: ${keysFrom}`;
    if (refusal === "quota") return `. The account behind ${keys[0]} is used up; see ${keysFrom}`;
    return "";
  }

  #formatAdvice(text: string): string {
    return this.name === "searxng" && /<html|<!doctype/i.test(text) ? `. ${jsonAdvice}` : "";
  }

  #late(ms: number): SearchError {
    return this.#error(`no answer within ${ms} ms, further tries included`, true);
  }

  #error(why: string, isRetryable: boolean, status?: number): SearchError {
    // No cause: what fetch reports may hold the address with its key.
    const details = { engine: this.name, isRetryable, url: this.endpoint, status };
    return new SearchError(`${this.name} (${this.endpoint}): ${why}.`, details);
  }
}

const jsonAdvice = 'Let it answer with JSON: put "json" beside "html" under "search: formats:" in its settings.yml';

/** Undefined for results that lead to no page. The address is written as the URL standard does: without spaces, quotes or angle brackets. */
function passageOf({ title, url, snippet }: WebResult, rank: number): Passage | undefined {
  if (!/^https?:\/\/[^/]/i.test(url) || !URL.canParse(url)) return undefined;
  return { id: new URL(url).href, title: cleanText(title), text: cleanText(snippet), score: 1 / rank };
}

/** Addresses that differ in their fragments lead to one page. */
function keyOf(address: string): string {
  const url = new URL(address);
  url.hash = "";
  return url.href;
}

function checkKeys(keys: readonly string[], provider: WebEngineName): readonly string[] {
  const { keys: names, keysFrom } = webProviders[provider];
  return names.map((name, index) => {
    const key = (keys[index] ?? "").trim();
    if (key === "")
      throw new UserError(`Searching with ${provider} needs a key: set ${name} in the environment. Keys: ${keysFrom}.`);
    // The value is not shown: it is a key all the same, most of it.
    if (!/^[\x21-\x7e]+$/.test(key))
      throw new UserError(`${name} holds spaces, line breaks or other characters that no key has. Copy it again.`);
    return key;
  });
}

/** Credentials in the address are refused, since errors show it. */
function checkEndpoint(address: string, provider: WebEngineName): string {
  if (address === "")
    throw new UserError(`Searching with ${provider} needs the address of a server: search.url=http://127.0.0.1:8080.`);
  if (!URL.canParse(address) || !/^https?:\/\//i.test(address))
    throw new UserError(`"${address}" is not an address. Write it like http://127.0.0.1:8080.`);
  const url = new URL(address);
  const credential = credentialIn(url);
  if (credential !== undefined)
    throw new UserError(
      `The address of ${provider} must not hold ${credential}: errors show it. Put a server that needs none before it, on this machine.`,
    );
  if (provider === "searxng" && !/\/search$/.test(url.pathname))
    url.pathname = `${url.pathname.replace(/\/$/, "")}/search`;
  return url.href;
}
