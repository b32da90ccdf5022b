/** @file `sleuth serve search` as a process: ready, asked, ended. */
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, it } from "vitest";
import { sleuth, sleuthHere } from "../../test/run-sleuth.js";
import { listening } from "../search/remote/servers.test-support.js";

const asJson = { "content-type": "application/json" };

describe("sleuth serve search", () => {
  it("answers what is under way when it is told to end, and then ends with 0", async () => {
    // Behind it a server that answers when ours was told to end.
    let told: () => void = () => undefined;
    const isTold = new Promise<void>((resolve) => (told = resolve));
    const behind = await listening(async (_, response) => {
      await isTold;
      response.end('{"result":[[{"document":{"id":"7","contents":"\\"T\\"\\nx"},"score":2}]]}');
    });
    const statuses: number[] = [];
    let reply: unknown;
    const ended = await sleuth(["serve", "search", "--url", behind.url, "--port", "0"], {
      onStart: (child) =>
        child.stdout?.once("data", (text: string) => {
          const url = /http:\S+retrieve/.exec(text)?.[0] ?? "";
          const body = JSON.stringify({ queries: ["owls"], return_scores: true });
          void (async () => {
            for (const path of ["/health", "/metrics"]) statuses.push((await fetch(new URL(path, url))).status);
            const answer = fetch(url, { method: "POST", headers: asJson, body }).then((response) => response.json());
            const metric = /sleuth_search_in_flight 1\n/;
            while (!metric.test(await (await fetch(new URL("/metrics", url))).text()));
            child.kill("SIGTERM");
            child.stderr?.once("data", () => told());
            reply = await answer;
          })().catch(() => child.kill("SIGKILL"));
        }),
    });
    await behind.close();
    expect([ended.status, statuses]).toEqual([0, [200, 200]]);
    expect(reply).toEqual({ result: [[{ document: { id: "7", contents: '"T"\nx' }, score: 2 }]] });
  });

  it("--timeout-ms is the time of the whole search, whatever its parts may take", async () => {
    const behind = await listening((request, response) => {
      // The search takes a part of the time, and the reranker would take all of it once more.
      if (request.path !== "/retrieve") return;
      setTimeout(() => response.end('{"result":[[{"document":{"id":"7","contents":"x"},"score":2}]]}'), 200);
    });
    const line = ["serve", "search", "--url", behind.url, "--rerank", `${behind.url}/rerank`, "--port", "0"];
    let reply: unknown;
    await sleuth([...line, "--timeout-ms", "1000"], {
      onStart: (child) =>
        child.stdout?.once("data", (text: string) => {
          const url = /http:\S+retrieve/.exec(text)?.[0] ?? "";
          void fetch(url, { method: "POST", headers: asJson, body: JSON.stringify({ queries: ["owls"] }) })
            .then(async (response) => (reply = [response.status, await response.json()]))
            .finally(() => child.kill("SIGTERM"));
        }),
    });
    await behind.close();
    expect(reply).toMatchObject([503, { error: { message: "no answer within 1000 ms." } }]);
  });

  it("no caller of a search service waits for the slow search of another", async () => {
    let release: () => void = () => undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    let isFull: () => void = () => undefined;
    const full = new Promise<void>((resolve) => (isFull = resolve));
    let slow = 0;
    const answer = async (q: string | null, response: ServerResponse): Promise<void> => {
      if (q !== "owls") {
        if (++slow === 3) isFull();
        await released;
      }
      response.end(JSON.stringify({ results: [{ title: q, url: "https://example.com/", content: q }] }));
    };
    const behind = createServer(
      ({ url = "" }, response) => void answer(new URL(url, "http://here").searchParams.get("q"), response),
    );
    await new Promise<void>((resolve) => behind.listen(0, "127.0.0.1", resolve));
    const address = `http://127.0.0.1:${(behind.address() as AddressInfo).port}`;
    const line = ["serve", "search", "--engine", "searxng", "--url", address, "--port", "0"];
    const order: string[] = [];
    const ended = await sleuth([...line, "--timeout-ms", "20000"], {
      onStart: (child) =>
        child.stdout?.once("data", (text: string) => {
          const url = /http:\S+retrieve/.exec(text)?.[0] ?? "";
          const ask = async (query: string): Promise<void> => {
            await (
              await fetch(url, { method: "POST", headers: asJson, body: JSON.stringify({ queries: [query] }) })
            ).text();
            order.push(query);
          };
          void (async () => {
            const others = ["a", "b", "c"].map(ask);
            await full;
            await ask("owls");
            release();
            await Promise.all(others);
          })().finally(() => child.kill("SIGTERM"));
        }),
    });
    behind.closeAllConnections();
    behind.close();
    expect(ended.status).toBe(0);
    expect(order[0]).toBe("owls");
    expect(order).toHaveLength(4);
  }, 30_000);

  it("an engine that cannot be opened ends it with 1 and says why", async () => {
    const ended = await sleuthHere(["serve", "search", "--port", "0"]);
    expect(ended.status).toBe(1);
    expect(ended.stderr).toContain("sleuth index");
  });
});
