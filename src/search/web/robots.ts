/** @file robots.txt (RFC 9309): what the sites that are read ask of robots. */
import robotsParser from "robots-parser";
import { orAborted } from "../../async.js";
import { Lru } from "../../lru.js";
import { Refused, type ConnectRules } from "./addresses.js";
import { fetchPage, userAgent, type FetchLimits } from "./fetcher.js";

/** A page that its site asks robots not to read. */
export class RobotsDenied extends Error {}

/** RFC 9309 asks for at least 500 KiB to be read. */
const limits: FetchLimits = { timeoutMs: 5_000, maxBytes: 512 * 1024, maxRedirects: 5 };

/** How long rules hold. RFC 9309 allows a day; a site that failed is asked again sooner. Milliseconds. */
const freshMs = 60 * 60 * 1_000;
const failedFreshMs = 5 * 60 * 1_000;

/** Sites whose rules are kept; the ones asked for longest ago go first. */
const maxSites = 1_000;

/**
 * Reading rules and matching them happens on this thread, and both can be made to take seconds. Sites with more lines than this, or with more
 * characters in patterns with wildcards (times those of the path), are left alone.
 */
const maxLines = 5_000;
const maxMatchingCost = 4_000_000;

/** The rules of a site, or the one answer for everything. */
type Rules = { robot: Robot; wildcardLength: number } | { allows: boolean; refused?: Refused };

interface Robot {
  isAllowed(url: string, agent: string): boolean | undefined;
}

interface Site {
  rules: Promise<Rules>;
  /** Milliseconds since 1970; a site under way holds until it has answered. */
  until: number;
}

/** The default export of a CommonJS module, which its types describe as that of an ES module. */
const parse = robotsParser as unknown as (address: string, text: string) => Robot;

/** Asks each site for its rules once, and remembers them for a while. */
export class Robots {
  readonly #sites = new Lru<string, Site>(maxSites);
  readonly #closed = new AbortController();
  readonly #rules: ConnectRules;
  readonly #now: () => number;

  constructor(rules: ConnectRules = {}, now: () => number = Date.now) {
    this.#rules = rules;
    this.#now = now;
  }

  /**
   * Resolves when the site lets robots of our name read the page.
   * @throws RobotsDenied; Refused for a site that is not visited; the signal's reason
   */
  async check(url: URL, signal: AbortSignal): Promise<void> {
    const rules = await orAborted(this.#rulesOf(url.origin), signal);
    if ("refused" in rules) throw rules.refused;
    if (!allows(rules, url)) throw new RobotsDenied(`${url.host} asks robots not to read it`);
  }

  close(): void {
    this.#closed.abort(new Error("closed"));
  }

  #rulesOf(origin: string): Promise<Rules> {
    const known = this.#sites.get(origin);
    if (known !== undefined && this.#now() < known.until) return known.rules;
    const site: Site = { rules: this.#ask(origin), until: Number.POSITIVE_INFINITY };
    void site.rules.then(
      (rules) => void (site.until = this.#now() + ("allows" in rules && !rules.allows ? failedFreshMs : freshMs)),
    );
    this.#sites.set(origin, site);
    return site.rules;
  }

  /** 2.3.1: a site without a robots.txt allows everything; one that fails or cannot be reached allows nothing. */
  async #ask(origin: string): Promise<Rules> {
    try {
      const options = { limits, signal: this.#closed.signal, wants: () => true };
      const { status, body } = await fetchPage(`${origin}/robots.txt`, options, this.#rules);
      if (status >= 200 && status < 300) return rulesIn(Buffer.from(body).toString("utf8"), origin);
      return { allows: status >= 400 && status < 500 };
    } catch (error) {
      // Whatever else goes wrong, the rules are not known then.
      return { allows: false, ...(error instanceof Refused ? { refused: error } : {}) };
    }
  }
}

function rulesIn(text: string, origin: string): Rules {
  const lines = text.split(/[\r\n]+/);
  if (lines.length > maxLines) return { allows: false };
  const wildcardLength = lines.reduce((sum, line) => sum + (line.includes("*") ? line.length : 0), 0);
  return { robot: parse(`${origin}/robots.txt`, text), wildcardLength };
}

function allows(rules: Rules, url: URL): boolean {
  if ("allows" in rules) return rules.allows;
  if (rules.wildcardLength * (url.pathname.length + url.search.length) > maxMatchingCost) return false;
  return rules.robot.isAllowed(url.href, userAgent) ?? true;
}
