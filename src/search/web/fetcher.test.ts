/** @file Pages fetched from servers that point inside, swell, drip, hang and lie. */
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { brotliCompressSync, createGzip, gzipSync } from "node:zlib";
import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { FetchFailed, Refused } from "./addresses.js";
import { fetchPage, parseContentType, userAgent } from "./fetcher.js";
import type { Fetched, FetchLimits } from "./fetcher.js";
import { html, publicAddress, redirect, startInternet } from "./site.test-support.js";
import type { Internet } from "./site.test-support.js";

let internet: Internet;
beforeAll(async () => void (internet = await startInternet()));
afterAll(() => internet.close());
beforeEach(() => {
  internet.pages.clear();
  internet.names.clear();
  internet.dialled.length = 0;
  internet.requests.length = 0;
});

const limits: FetchLimits = { timeoutMs: 5_000, maxBytes: 2 * 1024 * 1024, maxRedirects: 5 };

function get(
  address: string,
  options: Partial<Parameters<typeof fetchPage>[1]> & { limit?: Partial<FetchLimits> } = {},
): Promise<Fetched> {
  const { limit, ...rest } = options;
  const signal = new AbortController().signal;
  return fetchPage(address, { limits: { ...limits, ...limit }, signal, wants: () => true, ...rest }, internet.rules);
}

const textOf = ({ body }: Fetched): string => Buffer.from(body).toString("utf8");

describe("a page", () => {
  it("is fetched from the address of its name, with an honest user agent", async () => {
    let agent: string | undefined;
    internet.pages.set("example.org/a?b=c", (request, response) => {
      agent = request.headers["user-agent"];
      response.writeHead(200, { "content-type": "Text/HTML; Charset=ISO-8859-1" }).end("<p>hello");
    });
    const page = await get("http://example.org/a?b=c#d");
    expect(textOf(page)).toBe("<p>hello");
    expect(page).toMatchObject({
      url: "http://example.org/a?b=c",
      status: 200,
      contentType: "text/html",
      charset: "iso-8859-1",
    });
    expect(agent).toBe(userAgent);
    expect(userAgent).toMatch(/^sleuth-rl\//);
    expect(internet.dialled).toEqual([`${publicAddress}:80`]);
  });

  it("is fetched from a public number, of either kind", async () => {
    internet.pages.set("93.184.216.34/", html("<p>four"));
    internet.pages.set("[2606:4700::1111]/", html("<p>six"));
    expect(textOf(await get("http://93.184.216.34/"))).toBe("<p>four");
    expect(textOf(await get("http://[2606:4700::1111]/"))).toBe("<p>six");
    expect(internet.dialled).toEqual(["93.184.216.34:80", "2606:4700::1111:80"]);
  });

  it.each([
    ["gzip", gzipSync("<p>packed")],
    ["br", brotliCompressSync("<p>packed")],
    ["identity", Buffer.from("<p>packed")],
  ])("comes compressed: %s", async (coding, body) => {
    internet.pages.set("example.org/", html(body, { "content-encoding": coding }));
    expect(textOf(await get("http://example.org/"))).toBe("<p>packed");
  });

  it("is found through redirects, relative ones too, five at most", async () => {
    internet.pages.set("example.org/0", redirect("/1", 301));
    internet.pages.set("example.org/1", redirect("http://www.example.org/2", 308));
    internet.pages.set("www.example.org/2", redirect("3", 303));
    internet.pages.set("www.example.org/3", html("<p>there"));
    expect(await get("http://example.org/0")).toMatchObject({ url: "http://www.example.org/3" });
    internet.pages.set("example.org/loop", redirect("/loop"));
    await expect(get("http://example.org/loop")).rejects.toThrow(/more than 5 redirects/);
    expect(internet.requests.filter((asked) => asked.endsWith("/loop"))).toHaveLength(6);
  });

  it("that is not wanted is not read, and a failure is told by its status", async () => {
    internet.pages.set("example.org/pdf", (_, response) => {
      response.writeHead(200, { "content-type": "application/pdf" });
      response.write("%PDF");
    });
    const page = await get("http://example.org/pdf", { wants: (type) => type === "text/html" });
    expect(page).toMatchObject({ status: 200, contentType: "application/pdf" });
    expect(page.body).toHaveLength(0);
    expect(await get("http://example.org/missing")).toMatchObject({ status: 404 });
  });

  it("over TLS names its host to the server, though the connection goes to a number", async () => {
    let hello = Buffer.alloc(0);
    const server = createServer((socket) => {
      socket.on("error", () => undefined);
      socket.on("data", (bytes) => {
        hello = Buffer.concat([hello, bytes]);
        socket.destroy();
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const port = (server.address() as AddressInfo).port;
    const dialled: string[] = [];
    const dial = (address: string, to: number) => {
      dialled.push(`${address}:${to}`);
      return { address: "127.0.0.1", port };
    };
    const signal = new AbortController().signal;
    const fetched = fetchPage(
      "https://secure.example.org/",
      { limits, signal, wants: () => true },
      { ...internet.rules, dial },
    );
    await expect(fetched).rejects.toBeInstanceOf(FetchFailed);
    server.close();
    expect(hello.toString("latin1")).toContain("secure.example.org");
    expect(dialled).toEqual([`${publicAddress}:443`]);
  });
});

describe("nothing inside is reached", () => {
  const inside = [
    "http://127.0.0.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://[::1]/",
    "http://2130706433/",
    "http://0177.0.0.1/",
    "http://0x7f.1/",
    "http://[::ffff:10.0.0.1]/",
    "http://localhost/",
    "http://example.org:6379/",
    "file:///etc/passwd",
    "http://user:pass@example.org/",
  ];

  it.each(inside)("%s, named outright", async (address) => {
    await expect(get(address)).rejects.toBeInstanceOf(Refused);
    expect(internet.dialled).toEqual([]);
  });

  it.each(inside)("%s, by a redirect", async (address) => {
    internet.pages.set("example.org/", redirect(address));
    await expect(get("http://example.org/")).rejects.toBeInstanceOf(Refused);
    expect(internet.dialled).toEqual([`${publicAddress}:80`]);
  });

  it("by a name whose address is private, not even where other addresses of it are public", async () => {
    const hidden = ["10.0.0.7", "127.0.0.1", "::1", "fd00::1", "::ffff:192.168.1.1", "169.254.169.254", "no address"];
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...hidden), fc.nat({ max: 2 }), async (address, place) => {
        const addresses = [publicAddress, "2606:4700::1"];
        addresses.splice(place, 0, address);
        internet.names.set("sly.example.org", addresses);
        await expect(get("http://sly.example.org/")).rejects.toThrow(/is not a public address/);
        await expect(get("http://sly.example.org/")).rejects.toBeInstanceOf(Refused);
      }),
      { numRuns: 20, seed: 41 },
    );
    expect(internet.dialled).toEqual([]);
  });

  it("by a name that changes its address between the check and the connection", async () => {
    let asked = 0;
    internet.names.set("rebind.example.org", () => [asked++ === 0 ? publicAddress : "127.0.0.1"]);
    internet.pages.set("rebind.example.org/", html("<p>public"));
    expect(textOf(await get("http://rebind.example.org/"))).toBe("<p>public");
    // The name was looked up once, and the connection went to what was checked.
    expect(asked).toBe(1);
    expect(internet.dialled).toEqual([`${publicAddress}:80`]);
    await expect(get("http://rebind.example.org/")).rejects.toBeInstanceOf(Refused);
    expect(internet.dialled).toHaveLength(1);
  });

  it("by a name that changes its address before a redirect to itself", async () => {
    let asked = 0;
    internet.names.set("rebind.example.org", () => [asked++ === 0 ? publicAddress : "127.0.0.1"]);
    internet.pages.set("rebind.example.org/", (_, response) => {
      response.writeHead(302, { location: "/again", connection: "close" }).end();
    });
    await expect(get("http://rebind.example.org/")).rejects.toBeInstanceOf(Refused);
    expect(internet.dialled).toEqual([`${publicAddress}:80`]);
  });

  it("by a proxy that the environment names", async () => {
    internet.pages.set("example.org/", html("<p>direct"));
    const before = process.env.http_proxy;
    process.env.http_proxy = "http://127.0.0.1:1";
    try {
      expect(textOf(await get("http://example.org/"))).toBe("<p>direct");
    } finally {
      if (before === undefined) delete process.env.http_proxy;
      else process.env.http_proxy = before;
    }
  });
});

describe("servers that do harm", () => {
  const small = { maxBytes: 256 * 1024 };

  it("a gigabyte of zeros in a megabyte is stopped at the limit", async () => {
    let sent = 0;
    internet.pages.set("example.org/bomb", (request, response) => {
      response.writeHead(200, { "content-type": "text/html", "content-encoding": "gzip" });
      const zip = createGzip({ level: 1 });
      zip.on("data", (piece: Buffer) => void (sent += piece.length));
      zip.pipe(response);
      let left = 1024;
      const zeros = Buffer.alloc(1024 * 1024);
      const more = (): void => {
        if (left-- <= 0) return void zip.end();
        if (!request.destroyed && !response.destroyed) zip.write(zeros, more);
      };
      response.on("close", () => zip.destroy());
      zip.on("error", () => undefined);
      more();
    });
    await expect(get("http://example.org/bomb")).rejects.toThrow(/larger than 2097152 bytes/);
    // The connection was given up long before the end: a gigabyte of zeros is 4.4 MB at this level.
    expect(sent).toBeLessThan(3_000_000);
  });

  it("two layers of compression are not opened", async () => {
    internet.pages.set("example.org/", html(gzipSync(gzipSync("<p>x")), { "content-encoding": "gzip, gzip" }));
    await expect(get("http://example.org/")).rejects.toThrow(/content-encoding gzip, gzip is not known/);
  });

  it.each<[string, Buffer]>([
    ["no gzip at all", Buffer.from("plain")],
    ["half a gzip", gzipSync("x".repeat(1_000)).subarray(0, 20)],
  ])("%s is a failure", async (_, body) => {
    internet.pages.set("example.org/", html(body, { "content-encoding": "gzip" }));
    await expect(get("http://example.org/")).rejects.toBeInstanceOf(FetchFailed);
  });

  it("a body without end is cut off", async () => {
    internet.pages.set("example.org/", (_, response) => {
      response.writeHead(200, { "content-type": "text/html" });
      const more = (): void => {
        if (!response.destroyed) response.write(Buffer.alloc(65_536, "a"), () => setImmediate(more));
      };
      more();
    });
    await expect(get("http://example.org/", { limit: small })).rejects.toThrow(/larger than 262144 bytes/);
  });

  it.each(["before its head", "in its body"])("one that drips %s is left at the deadline", async (where) => {
    internet.pages.set("example.org/", (_, response) => {
      if (where === "in its body") response.writeHead(200, { "content-type": "text/html" });
      const timer = setInterval(() => {
        if (where === "in its body") response.write("a");
        else response.writeProcessing();
      }, 10);
      response.on("close", () => clearInterval(timer));
    });
    const failure = get("http://example.org/", { limit: { timeoutMs: 150 } });
    await expect(failure).rejects.toThrow(/longer than 150 ms/);
    await expect(failure).rejects.toBeInstanceOf(FetchFailed);
  });

  it("one whose name never resolves is left at the deadline", async () => {
    const rules = { ...internet.rules, resolve: () => new Promise<string[]>(() => undefined) };
    const signal = new AbortController().signal;
    const options = { limits: { ...limits, timeoutMs: 100 }, signal, wants: () => true };
    await expect(fetchPage("http://example.org/", options, rules)).rejects.toThrow(/longer than 100 ms/);
  });

  it("one that hangs up, or speaks no HTTP, is a failure", async () => {
    internet.pages.set("example.org/", (request) => void request.socket.destroy());
    await expect(get("http://example.org/")).rejects.toBeInstanceOf(FetchFailed);
    internet.pages.set("example.org/", (request) => void request.socket.end("no http\r\n\r\n"));
    await expect(get("http://example.org/")).rejects.toBeInstanceOf(FetchFailed);
    internet.pages.set("example.org/", redirect("http://[broken"));
    await expect(get("http://example.org/")).rejects.toThrow(/redirects to no address/);
  });

  it("heads without end are cut off", async () => {
    internet.pages.set("example.org/", (request) => {
      const { socket } = request;
      socket.on("error", () => undefined);
      socket.write(`HTTP/1.1 200 OK\r\n${"x-filler: aaaaaaaaaaaaaaaa\r\n".repeat(4_000)}`);
    });
    await expect(get("http://example.org/")).rejects.toBeInstanceOf(FetchFailed);
  });
});

it("a caller who gives up gets its own reason, whatever is under way", async () => {
  internet.pages.set("example.org/", () => undefined);
  const stop = new AbortController();
  const reason = new Error("enough");
  const fetched = get("http://example.org/", { signal: stop.signal });
  setTimeout(() => stop.abort(reason), 20);
  await expect(fetched).rejects.toBe(reason);
});

it("reads content types", () => {
  expect(parseContentType('Text/HTML ; boundary=x; Charset="UTF-8"')).toEqual({
    contentType: "text/html",
    charset: "utf-8",
  });
  expect(parseContentType("")).toEqual({ contentType: "", charset: "" });
});
