/** @file `sleuth serve search` as a process: ready, asked, ended. */
import { describe, expect, it } from "vitest";
import { sleuth, sleuthHere } from "../../test/run-sleuth.js";
import { listening } from "../search/remote/servers.test-support.js";

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
            const answer = fetch(url, { method: "POST", body }).then((response) => response.json());
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
          void fetch(url, { method: "POST", body: JSON.stringify({ queries: ["owls"] }) })
            .then(async (response) => (reply = [response.status, await response.json()]))
            .finally(() => child.kill("SIGTERM"));
        }),
    });
    await behind.close();
    expect(reply).toMatchObject([503, { error: { message: "no answer within 1000 ms." } }]);
  });

  it("an engine that cannot be opened ends it with 1 and says why", async () => {
    const ended = await sleuthHere(["serve", "search", "--port", "0"]);
    expect(ended.status).toBe(1);
    expect(ended.stderr).toContain("sleuth index");
  });
});
