/** @file The original's protocol both ways: its client against our server, our client against a server that behaves as its own does. */
import { execFile, spawn, spawnSync } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Bm25Engine } from "./bm25/engine.js";
import { formatContents } from "./text/contents.js";
import { SearchError } from "./engine.js";
import { HttpEngine } from "./remote/http.js";
import { serve } from "./serving/server.js";

const run = promisify(execFile);
const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const hasPython = spawnSync("python3", ["--version"]).status === 0;

const passages = [
  { id: "1", title: "Peru", text: "Lima is the capital.\nIts currency is the sol." },
  { id: "2", title: "Owls", text: "Owls hunt at night." },
  { id: "3", title: "Lima beans", text: "A bean of Peru." },
];

describe.skipIf(!hasPython)("Search-R1's protocol (skipped where there is no python3)", () => {
  const folder = mkdtempSync(join(tmpdir(), "sleuth-search-r1-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("its trainer's client reads our server's answers", async () => {
    const server = await serve({ engine: Bm25Engine.fromPassages(passages), port: 0 });
    const queries = ["owls at night", "capital of Peru", "nothing of the kind", "owls at night"];
    writeFileSync(join(folder, "queries.json"), JSON.stringify(queries));
    try {
      const args = [server.url, join(folder, "queries.json"), "--topk", "2", "--batch", "3"];
      const { stdout } = await run("python3", [at("../../bench/search/retrieve_client.py"), ...args]);
      const { shown, ...rate } = JSON.parse(stdout) as { shown: string[]; queries: number; qps: number };
      expect(shown).toEqual([
        'Doc 1(Title: "Owls") Owls hunt at night.\n',
        'Doc 1(Title: "Peru") Lima is the capital.\nIts currency is the sol.\nDoc 2(Title: "Lima beans") A bean of Peru.\n',
        "",
      ]);
      expect(rate.queries).toBe(4);
      expect(rate.qps).toBeGreaterThan(0);
    } finally {
      await server.close();
    }
  });

  describe("our client against a server that behaves as the original's", () => {
    let child: ChildProcess;
    let url = "";
    beforeAll(async () => {
      const lines = passages.map((passage) => JSON.stringify({ id: passage.id, contents: formatContents(passage) }));
      writeFileSync(join(folder, "corpus.jsonl"), lines.join("\n"));
      child = spawn("python3", [at("./testdata/search_r1_server.py"), join(folder, "corpus.jsonl")]);
      const [port] = (await once(child.stdout as NodeJS.ReadableStream, "data")) as [Buffer];
      url = `http://127.0.0.1:${port.toString().trim()}`;
    });
    afterAll(() => child.kill());

    it("reads documents and scores, for any number of queries", async () => {
      const engine = new HttpEngine({ url });
      expect(await engine.searchBatch(["owls hunt", "lima", "xyzzy"], 2)).toEqual([
        [{ ...passages[1], score: 2 }],
        [
          { ...passages[0], score: 1 },
          { ...passages[2], score: 1 },
        ],
        [],
      ]);
      expect(await engine.searchBatch([], 2)).toEqual([]);
    });

    it("its crash without scores is a failure that may pass, after as many tries as were set", async () => {
      const engine = new HttpEngine({ url, returnScores: false, retries: 1, firstDelayMs: 1 });
      const failure = await engine.searchBatch(["owls", "lima", "peru"], 2).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(SearchError);
      expect(failure).toMatchObject({ status: 500, isRetryable: true });
      expect((failure as Error).message).toContain('answered 500: "Internal Server Error" (tried 2 times)');
      // Two queries do not crash it.
      const [owls] = await engine.searchBatch(["owls", "lima"], 2);
      expect(owls).toEqual([{ ...passages[1], score: 1 }]);
    });

    it("its NaN is told as what it is", async () => {
      const failure = await new HttpEngine({ url }).searchBatch(["nan owls"], 1).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(SearchError);
      expect((failure as Error).message).toMatch(/holds NaN, which Python writes/);
    });
  });
});
