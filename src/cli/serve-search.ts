/** @file `sleuth serve search`: an index over HTTP, in the request format of Search-R1's own server. */
import { openIndex } from "../search/bm25/open.js";
import { serve } from "../search/server.js";
import { withInterrupt } from "./interrupt.js";
import { integer } from "./run-options.js";
import { count } from "./terminal/format.js";
import type { Verb } from "./verb.js";

interface Options {
  index: string;
  port: number;
  host: string;
  top: number;
}

export const serveSearchVerb: Verb = {
  name: "search",
  summary: "serve an index as Search-R1's /retrieve",
  description:
    "Answers POST /retrieve as Search-R1's retrieval server does, and GET /health. Ctrl-C ends it when the requests under way are answered.",
  examples: [
    ["sleuth serve search --index index", "on port 8000 of this machine"],
    ["sleuth serve search --index index --host 0.0.0.0 --port 9000", "for the network"],
    [
      `curl -s localhost:8000/retrieve -H 'content-type: application/json' -d '{"queries":["capital of Peru"],"topk":3,"return_scores":true}'`,
      "what a trainer asks",
    ],
  ],
  required: ["index"],
  configure: (command) =>
    command
      .option("--index <folder>", "an index made by sleuth index")
      .option("--port <number>", "port; 0 for any free one", integer(0), 8000)
      .option("--host <address>", "address to listen on; 0.0.0.0 for the network", "127.0.0.1")
      .option("-k, --top <number>", "passages where a request does not say topk", integer(1), 3),
  async run(terminal, options) {
    const { index, port, host, top } = options as unknown as Options;
    const engine = await openIndex(index);
    try {
      const server = await serve({ engine, port, host, defaultK: top });
      await withInterrupt(terminal, "Answering what is under way.", async (signal) => {
        terminal.print(`${count(engine.passages.count)} passages at ${server.url}. Ctrl-C ends it.`);
        await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
        await server.close();
      });
      return { url: server.url, port: server.port, passages: engine.passages.count };
    } finally {
      await engine.close();
    }
  },
};
