/** @file The web as a search engine: a search service finds pages, and their snippets, or what stands on the pages, are the passages. */
import { DeadlineError, Gate, withDeadline } from "../../async.js";
import { UserError } from "../../errors.js";
import { askChunks, chunksOf } from "../../http/chunks.js";
import { checkKey, serviceUrl } from "../../http/credentials.js";
import { ServiceFailure, type HttpTools } from "../../http/request.js";
import { defaultService, Service, type ServiceSettings } from "../../http/service.js";
import type { Passage } from "../../types.js";
import {
  answeredLists,
  checkCount,
  forDistinct,
  SearchError,
  type PassageList,
  type SearchEngine,
  type SearchOptions,
} from "../engine.js";
import { timesOf, type EngineContext, type EngineSettings } from "../settings.js";
import { cleanQuery, cleanText } from "./clean.js";
import { Pages } from "./pages.js";
import { webProviders, type WebEngineName, type WebProvider, type WebResult } from "./providers.js";

interface WebSettings extends ServiceSettings {
  provider: WebEngineName;
  /** Values for the provider's `keys`, in their order. */
  keys: readonly string[];
  /** Where requests go; default: the provider's own address. */
  endpoint: string;
  /** Longest time for one query, retries, further pages of results and reading pages included. Milliseconds. */
  deadlineMs: number;
  /** Most queries under way at once, over all calls. */
  concurrency: number;
  /** Reads the pages that were found; closed with the engine. Without it, snippets are the passages. */
  pages?: Pages;
}

const defaults: Omit<WebSettings, "provider" | "keys" | "endpoint"> = {
  ...defaultService,
  timeoutMs: 5_000,
  deadlineMs: 10_000,
  concurrency: 8,
  maxAnswerBytes: 8 * 1024 * 1024,
};

/** Part of a query's time after which pages are no longer waited for: fused with others, an engine has four fifths of the time. */
const partForPages = 0.7;

/**
 * Opens a search service from settings. Nothing is asked of it yet.
 * @throws UserError for a key that the environment lacks, and for SearXNG without an address
 */
export async function openWeb(
  provider: WebEngineName,
  settings: EngineSettings,
  { environment = process.env, http }: EngineContext,
): Promise<WebEngine> {
  const keys = webProviders[provider].keys.map((name) => environment[name] ?? "");
  const endpoint = provider === "searxng" ? { endpoint: settings.url } : {};
  const pages = settings.pages ? { pages: new Pages() } : {};
  return new WebEngine({ provider, keys, ...endpoint, ...timesOf(settings), ...pages }, http);
}

/**
 * Asks for each distinct query once; the services take one query a request. A passage's id is its address, its score 1/rank. A box above the results
 * (answer, knowledge graph) that names a page counts as the first of the k.
 */
export class WebEngine implements SearchEngine {
  readonly name: WebEngineName;
  readonly endpoint: string;
  /** A page is one passage, whatever is shown of it. */
  readonly idsArePassages = true;
  readonly #provider: WebProvider;
  readonly #settings: Pick<WebSettings, "concurrency" | "deadlineMs" | "pages">;
  /** Hidden from code that prints or clones an engine. */
  readonly #keys: readonly string[];
  readonly #gate: Gate;
  readonly #service: Service;

  /** @throws UserError for keys that are missing or could not be sent, or an invalid address */
  constructor(given: Partial<WebSettings> & Pick<WebSettings, "provider" | "keys">, tools: Partial<HttpTools> = {}) {
    const { provider, keys, endpoint, ...settings } = { ...defaults, ...given };
    this.name = provider;
    this.#provider = webProviders[provider];
    this.#keys = checkKeys(keys, provider);
    this.endpoint = checkEndpoint(endpoint ?? this.#provider.endpoint ?? "", provider);
    this.#settings = settings;
    this.#gate = new Gate(settings.concurrency);
    this.#service = new Service(
      {
        title: provider,
        url: this.endpoint,
        settings,
        secrets: this.#keys,
        advice: (failure) => adviceFor(provider, failure),
        error: (message, details) => new SearchError(message, { engine: provider, ...details }),
        // 429 means "slow down" to some services and "used up" to others; only their words tell.
        isFinal: (status, words) => status === 429 && usedUp.test(words),
      },
      tools,
    );
  }

  async searchBatch(queries: readonly string[], k: number, { signal }: SearchOptions = {}): Promise<PassageList[]> {
    checkCount(k);
    return forDistinct(queries, (distinct) => {
      const { concurrency, deadlineMs } = this.#settings;
      // A query's deadline begins when its turn comes; this one bounds the wait for that, where other calls fill the line.
      const boundMs = (Math.ceil(distinct.length / concurrency) + 1) * deadlineMs;
      const chunking = { concurrency: Infinity, sizeOf: (query: string) => query.length };
      const search = async (whole: AbortSignal): Promise<PassageList[]> =>
        answeredLists(
          await askChunks(chunksOf(distinct, 1), chunking, whole, async ([query], until) => [
            await this.#gate.run(() => this.#search(query, k, until), { signal: until }),
          ]),
        );
      return this.#service.call(signal, search, boundMs);
    });
  }

  counts(): Readonly<Record<string, number>> {
    return { ...this.#service.counts(), ...this.#settings.pages?.counts };
  }

  /** Ends requests under way; they fail with a `SearchError`. */
  async close(): Promise<void> {
    this.#service.close("the engine is closed");
    await this.#settings.pages?.close();
  }

  /** One query, within its deadline. */
  async #search(query: string, k: number, signal: AbortSignal): Promise<Passage[]> {
    const asked = cleanQuery(query, this.#provider.limits);
    if (asked === "") return [];
    const { deadlineMs, pages } = this.#settings;
    const start = performance.now();
    const found = await this.#service.call(signal, (until) => this.#find(asked, k, until));
    if (pages === undefined) return found;
    // The time left, less a reserve for putting the answer together.
    const leftMs = Math.max(0, Math.floor(start + partForPages * deadlineMs - performance.now()));
    return Promise.all(found.map((passage) => this.#read(passage, asked, pages, leftMs, signal)));
  }

  /** The passage with the page's words; as it is where the page cannot be read in time. */
  async #read(passage: Passage, query: string, pages: Pages, timeoutMs: number, signal: AbortSignal): Promise<Passage> {
    try {
      const excerpt = (until: AbortSignal) => pages.excerpt(passage.id, query, passage.text, until);
      const text = await withDeadline(excerpt, { timeoutMs, signal });
      return text === undefined ? passage : { ...passage, text };
    } catch (error) {
      if (signal.aborted || !(error instanceof DeadlineError)) throw error;
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

  #resultsOf(query: string, k: number, page: number, signal: AbortSignal): Promise<WebResult[]> {
    const asked = { query, k, page };
    const { parameters = {}, headers, body } = this.#provider.request(asked, this.#keys);
    const url = new URL(this.endpoint);
    for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
    const request = { url: url.href, headers, body: body === undefined ? undefined : JSON.stringify(body) };
    return this.#service.json(request, signal, (answer) => {
      if (typeof answer === "object" && answer !== null && !Array.isArray(answer))
        return this.#provider.results(answer as Record<string, unknown>, asked);
      throw new ServiceFailure(`the answer is not an object: ${this.#service.excerpt(JSON.stringify(answer))}`);
    });
  }
}

/** What the services write when an account is used up, whatever status they write it under. */
const usedUp =
  /not enough credits|run out of searches|searches .{0,30}have run out|queries per day|daily ?limit|quota_?limited|plan'?s set usage limit|pay-?as-?you-?go limit|insufficient (credits|balance|funds)/i;
const usedUpStatuses: readonly unknown[] = [402, 429, 432, 433];
const aboutKey = /api[ _-]?key|subscription_?token|unauthori[sz]ed|invalid token/i;

/** What the user can do about a refusal, as far as its status and words tell. */
function adviceFor(provider: WebEngineName, { message, status, isRetryable }: ServiceFailure): string {
  if (provider === "searxng") return searxngAdvice(status, message);
  const isRefusal = !isRetryable && status !== undefined && status >= 400 && status < 500;
  if (!isRefusal) return "";
  const { keys, keysFrom } = webProviders[provider];
  if (usedUpStatuses.includes(status) || usedUp.test(message))
    return `The account behind ${keys[0]} is used up; see ${keysFrom}.`;
  const isKey = status === 401 || status === 403 || aboutKey.test(message);
  return isKey ? `Check ${keys.join(" and ")}; keys: ${keysFrom}.` : "";
}

function searxngAdvice(status: number | undefined, message: string): string {
  if (status === 403 || (status === 200 && /<html|<!doctype/i.test(message)))
    return 'Let it answer with JSON: put "json" beside "html" under "search: formats:" in its settings.yml.';
  if (status !== 429) return "";
  return 'Its limiter takes programs for robots: set "limiter: false" under "server" in its settings.yml.';
}

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
    checkKey(key, name);
    return key;
  });
}

function checkEndpoint(address: string, provider: WebEngineName): string {
  if (address === "")
    throw new UserError(`Searching with ${provider} needs the address of a server: search.url=http://127.0.0.1:8080.`);
  const url = serviceUrl(address, {
    name: `The address of ${provider}`,
    example: "http://127.0.0.1:8080",
    keyAdvice: "Put a server that needs none before it, on this machine.",
  });
  if (provider === "searxng" && !/\/search$/.test(url.pathname))
    url.pathname = `${url.pathname.replace(/\/$/, "")}/search`;
  return url.href;
}
