/** @file What sites ask of robots is done, and what cannot be known is taken for a no. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { Refused } from "./addresses.js";
import { Robots, RobotsDenied } from "./robots.js";
import { html, redirect, startInternet } from "./site.test-support.js";
import type { Answer, Internet } from "./site.test-support.js";

let internet: Internet;
beforeAll(async () => void (internet = await startInternet()));
afterAll(() => internet.close());
beforeEach(() => {
  internet.pages.clear();
  internet.names.clear();
  internet.requests.length = 0;
});

const never = new AbortController().signal;
const text = (body: string): Answer => html(body, { "content-type": "text/plain" });
const status =
  (code: number): Answer =>
  (_, response) =>
    void response.writeHead(code).end("User-agent: *\nAllow: /");

async function mayRead(robots: Robots, address: string): Promise<boolean> {
  try {
    await robots.check(new URL(address), never);
    return true;
  } catch (error) {
    expect(error instanceof RobotsDenied || error instanceof Refused).toBe(true);
    return false;
  }
}

describe("rules", () => {
  it.each<[string, string, Record<string, boolean>]>([
    [
      "for everybody",
      "User-agent: *\nDisallow: /private\nAllow: /private/open",
      { "/": true, "/private/x": false, "/private/open": true },
    ],
    [
      "for us come before those for everybody",
      "User-agent: *\nDisallow: /\n\nUser-agent: Sleuth-RL\nDisallow: /no",
      { "/a": true, "/no": false },
    ],
    ["for others are not for us", "User-agent: otherbot\nDisallow: /", { "/a": true }],
    [
      "with wildcards",
      "User-agent: *\nDisallow: /*.php$\nDisallow: /*?q=",
      { "/a.php": false, "/a.php5": true, "/s?q=x": false, "/s": true },
    ],
    ["of length nothing", "", { "/a": true }],
    [
      "with a byte order mark and comments",
      "\ufeffUser-agent: * # all\r\nDisallow: /x # y\r\n",
      { "/x": false, "/y": true },
    ],
    ["that are no rules", "<html><body>Not found</body></html>", { "/a": true }],
  ])("%s", async (_, rules, pages) => {
    internet.pages.set("example.org/robots.txt", text(rules));
    const robots = new Robots(internet.rules);
    for (const [path, allowed] of Object.entries(pages))
      expect([path, await mayRead(robots, `http://example.org${path}`)]).toEqual([path, allowed]);
    expect(internet.requests).toEqual(["example.org/robots.txt"]);
  });

  it.each<[number, boolean]>([
    [404, true],
    [403, true],
    [410, true],
    [500, false],
    [503, false],
  ])("status %i: %s for everything", async (code, allowed) => {
    internet.pages.set("example.org/robots.txt", status(code));
    expect(await mayRead(new Robots(internet.rules), "http://example.org/a")).toBe(allowed);
  });

  it("that cannot be had forbid everything: hung up, too large, redirected in circles or inside", async () => {
    const answers: Answer[] = [
      (request) => void request.socket.destroy(),
      text("#".repeat(600_000)),
      redirect("/robots.txt"),
      redirect("http://169.254.169.254/"),
      redirect("http://127.0.0.1/robots.txt"),
    ];
    for (const answer of answers) {
      internet.pages.set("example.org/robots.txt", answer);
      expect(await mayRead(new Robots(internet.rules), "http://example.org/a")).toBe(false);
    }
    expect(new Set(internet.dialled)).toEqual(new Set(["93.184.216.34:80"]));
  });

  it("behind a redirect hold for the site that was asked", async () => {
    internet.pages.set("example.org/robots.txt", redirect("http://www.example.org/robots.txt"));
    internet.pages.set("www.example.org/robots.txt", text("User-agent: *\nDisallow: /x"));
    const robots = new Robots(internet.rules);
    expect(await mayRead(robots, "http://example.org/x")).toBe(false);
    expect(await mayRead(robots, "http://example.org/y")).toBe(true);
  });

  it("made to take long are not matched: the site is left alone", async () => {
    const long = [
      `User-agent: *\nDisallow: /${"*a".repeat(200_000)}`,
      `User-agent: *\n${"Disallow: /x\n".repeat(6_000)}`,
    ];
    for (const rules of long) {
      internet.pages.set("example.org/robots.txt", text(rules));
      expect(await mayRead(new Robots(internet.rules), `http://example.org/${"a".repeat(1_000)}`)).toBe(false);
    }
  });
});

describe("memory", () => {
  it("asks a site once, also when many ask at a time, and again after an hour, or five minutes where it failed", async () => {
    internet.pages.set("example.org/robots.txt", text("User-agent: *\nDisallow: /x"));
    internet.pages.set("down.example.org/robots.txt", status(500));
    let now = 0;
    const robots = new Robots(internet.rules, () => now);
    const ask = () => Promise.all(Array.from({ length: 5 }, () => mayRead(robots, "http://example.org/x")));
    expect(await ask()).toEqual([false, false, false, false, false]);
    expect(await mayRead(robots, "http://down.example.org/")).toBe(false);
    now = 4 * 60_000;
    await ask();
    expect(await mayRead(robots, "http://down.example.org/")).toBe(false);
    expect(internet.requests).toHaveLength(2);
    internet.pages.set("down.example.org/robots.txt", status(404));
    now = 6 * 60_000;
    expect(await mayRead(robots, "http://down.example.org/")).toBe(true);
    await ask();
    expect(internet.requests).toHaveLength(3);
    now = 61 * 60_000;
    internet.pages.set("example.org/robots.txt", text(""));
    expect(await ask()).toEqual([true, true, true, true, true]);
    expect(internet.requests).toHaveLength(4);
  });

  it("a caller who gives up gets its own reason, and the answer still serves others", async () => {
    let answer = (): void => undefined;
    internet.pages.set("example.org/robots.txt", (_, response) => {
      answer = () => void response.writeHead(200).end("User-agent: *\nDisallow: /x");
    });
    const robots = new Robots(internet.rules);
    const stop = new AbortController();
    const reason = new Error("enough");
    const given = robots.check(new URL("http://example.org/x"), stop.signal);
    const patient = mayRead(robots, "http://example.org/x");
    setTimeout(() => (stop.abort(reason), answer()), 50);
    await expect(given).rejects.toBe(reason);
    expect(await patient).toBe(false);
    expect(internet.requests).toHaveLength(1);
  });
});
