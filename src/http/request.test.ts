import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { realTools, send, type RequestSettings } from "./request.js";

const servers: Server[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve))));
});

/** A server that answers a path with a redirect where there is one for it, else with what it was sent. */
async function start(redirects: Readonly<Record<string, [status: number, to: string]>> = {}) {
  const seen: { path: string; method: string; headers: IncomingHttpHeaders }[] = [];
  const server = createServer((request, response) => {
    const path = request.url ?? "";
    seen.push({ path, method: request.method ?? "", headers: request.headers });
    const [status, location] = redirects[path] ?? [200, ""];
    let body = "";
    request.on("data", (piece: Buffer) => (body += piece.toString()));
    request.on("end", () => response.writeHead(status, status === 200 ? {} : { location }).end(body));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  servers.push(server);
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
}

const settings: RequestSettings = {
  timeoutMs: 5_000,
  maxAnswerBytes: 1_000,
  headers: { "api-key": "secret", connection: "close" },
};
const post = (url: string): Promise<string> =>
  send({ url, body: '{"a":1}' }, { settings, tools: realTools, secrets: [] }, new AbortController().signal);

describe("redirects", () => {
  it("that stay at the server and keep the method are followed, body and keys included", async () => {
    const { url, seen } = await start({ "/retrieve/": [307, "/retrieve"] });
    expect(await post(`${url}/retrieve/`)).toBe('{"a":1}');
    expect(seen.map(({ path, method, headers }) => [path, method, headers["api-key"]])).toEqual([
      ["/retrieve/", "POST", "secret"],
      ["/retrieve", "POST", "secret"],
    ]);
  });

  it("to another server are refused with its name, and it never hears of the key", async () => {
    const other = await start();
    const { url } = await start({ "/retrieve": [307, `${other.url}/retrieve?token=x`] });
    await expect(post(`${url}/retrieve`)).rejects.toMatchObject({
      isRetryable: false,
      message: expect.stringContaining(`redirects to ${other.url}, where`) as unknown,
    });
    expect(other.seen).toEqual([]);
  });

  it("that would turn a question into another method, or go in circles, are refused", async () => {
    const { url, seen } = await start({ "/moved": [302, "/elsewhere"], "/loop": [308, "/loop"] });
    await expect(post(`${url}/moved`)).rejects.toThrow("redirects to /elsewhere");
    await expect(post(`${url}/loop`)).rejects.toThrow("redirects to /loop");
    expect(seen.filter(({ path }) => path === "/loop")).toHaveLength(4);
  });
});
