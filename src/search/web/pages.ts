/** @file Found pages read: fetched with suspicion, reduced to text, and of that the part that the search was about. */
import { Gate } from "../../async.js";
import { Lru } from "../../lru.js";
import { DocumentParser } from "../documents/parser.js";
import { decodePage, decodeText } from "../text/charset.js";
import { normaliseText } from "../text/normalise.js";
import { Refused, type ConnectRules } from "./addresses.js";
import { bestExcerpt } from "./excerpt.js";
import { fetchPage, type Fetched, type FetchLimits } from "./fetcher.js";
import { Robots, RobotsDenied } from "./robots.js";

interface PageSettings extends FetchLimits {
  /** Longest text taken from a page. The default holds 100 words, as the passages of Search-R1's Wikipedia do. UTF-16 units. */
  maxCharacters: number;
  /** Pages under way at once, and at one host. */
  concurrency: number;
  perHost: number;
}

const defaultPages: PageSettings = {
  timeoutMs: 5_000,
  maxBytes: 2 * 1024 * 1024,
  maxRedirects: 5,
  maxCharacters: 700,
  concurrency: 8,
  perHost: 2,
};

/** Of longer pages, the rest is not looked at: 30,000 words, ranked in some 20 ms. UTF-16 units. */
const longestText = 200_000;

/** Texts that are kept in memory, all together: some hundred articles. UTF-16 units. */
const rememberedText = 8_000_000;

const readTypes = new Set(["text/html", "application/xhtml+xml", "text/plain"]);

/** What became of pages so far. */
interface PageCounts {
  /** Read to the end. */
  pagesFetched: number;
  /** Read before, and remembered. */
  pagesRemembered: number;
  /** Not asked for: the address, or one that it led to, is not public or not of the web. */
  pagesRefused: number;
  /** Asked for in vain: too slow, too large, no text, broken, or answered with a failure. */
  pagesFailed: number;
  /** Not asked for: the site's robots.txt says no, or could not be had. */
  robotsDenied: number;
}

/** Reads pages. The caller closes it. */
export class Pages {
  readonly counts: PageCounts = {
    pagesFetched: 0,
    pagesRemembered: 0,
    pagesRefused: 0,
    pagesFailed: 0,
    robotsDenied: 0,
  };
  readonly #settings: PageSettings;
  readonly #rules: ConnectRules;
  readonly #robots: Robots;
  readonly #gate: Gate;
  readonly #parser: DocumentParser;
  /** Texts by address: queries of one group find the same pages, and their sites are asked once. */
  readonly #memory = new Lru<string, string>(rememberedText, (text) => text.length);

  /** @param rules for tests alone */
  constructor(settings: Partial<PageSettings> = {}, rules: ConnectRules = {}) {
    this.#settings = { ...defaultPages, ...settings };
    this.#rules = rules;
    this.#robots = new Robots(rules);
    this.#gate = new Gate(this.#settings.concurrency, { perKey: this.#settings.perHost });
    // Two, so that a page which is made to take long holds up half of the others only.
    this.#parser = new DocumentParser({ workers: 2, timeoutMs: this.#settings.timeoutMs });
  }

  /**
   * The part of a page that matches query and snippet best; undefined for a page that could not be read or holds none of the words.
   * Never fails but with the signal's reason.
   */
  async excerpt(address: string, query: string, snippet: string, signal: AbortSignal): Promise<string | undefined> {
    try {
      // Asked for when its turn has come: by then another search may have read it.
      const text = await this.#gate.run(() => this.#textOf(address, signal), { signal, key: hostOf(address) });
      return await bestExcerpt(text, query, snippet, this.#settings.maxCharacters);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof RobotsDenied) this.counts.robotsDenied++;
      else if (error instanceof Refused) this.counts.pagesRefused++;
      else this.counts.pagesFailed++;
      return undefined;
    }
  }

  async close(): Promise<void> {
    this.#robots.close();
    await this.#parser.close();
  }

  async #fetch(address: string, signal: AbortSignal): Promise<Fetched> {
    const mayVisit = (url: URL): Promise<void> => this.#robots.check(url, signal);
    const wants = (contentType: string): boolean => readTypes.has(contentType);
    const page = await fetchPage(address, { limits: this.#settings, signal, mayVisit, wants }, this.#rules);
    if (page.status < 200 || page.status > 299) throw new Error(`the server answered ${page.status}`);
    if (!readTypes.has(page.contentType)) throw new Error(`${page.contentType || "a body without a type"} is not read`);
    return page;
  }

  async #textOf(address: string, signal: AbortSignal): Promise<string> {
    const known = this.#memory.get(address);
    if (known !== undefined) {
      this.counts.pagesRemembered++;
      return known;
    }
    const { body, charset, contentType, url } = await this.#fetch(address, signal);
    const whole =
      contentType === "text/plain"
        ? decodeText(body, [charset])
        : (await this.#parser.htmlToText(decodePage(body, charset), url, { signal })).text;
    const text = normaliseText(whole.slice(0, longestText));
    this.counts.pagesFetched++;
    this.#memory.set(address, text);
    return text;
  }
}

function hostOf(address: string): string {
  try {
    return new URL(address).host;
  } catch {
    return "";
  }
}
