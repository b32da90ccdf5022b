/** @file `sleuth serve search`: any search engine over HTTP, in the request format of Search-R1's own server. */
import { onAbort } from "../async.js";
import { takesOneQueryPerRequest } from "../search/registry.js";
import type { SearchEngine } from "../search/engine.js";
import { openEngine } from "../search/open.js";
import { serve } from "../search/serving/server.js";
import { addEngineOptions, engineSettings } from "./engine-options.js";
import { withInterrupt } from "./interrupt.js";
import { integer } from "./run-options.js";
import { addListening, noteOpenDoor, type ListeningOptions } from "./serve-options.js";
import type { Verb } from "./verb.js";

interface Options extends ListeningOptions {
  top: number;
  maxTop: number;
  atOnce: number;
  batch: number;
  maxPassages: number;
  /** Of the engine's options: the time of its parts, and here of the whole. */
  timeoutMs?: number;
}

/** Searches then need `authorization: Bearer …`; our client sends it by itself where it is set. */
const tokenVariable = "SLEUTH_SEARCH_TOKEN";

export const serveSearchVerb: Verb = {
  name: "search",
  summary: "serve a search engine as Search-R1's /retrieve",
  description:
    "Answers POST /retrieve as Search-R1's retrieval server does, from any engine: an index, a fusion of several, a server behind it, the web. GET /health says 200 once it is ready, GET /metrics speaks Prometheus. " +
    `Where ${tokenVariable} is set, it is required as a bearer token. Ctrl-C and SIGTERM end it when the requests under way are answered.`,
  examples: [
    ["sleuth serve search --index index", "on port 8000 of this machine"],
    ["sleuth serve search --index index --host 0.0.0.0 --port 9000", "for the network"],
    ["sleuth serve search --engine serper --cache web-cache", "the web, every answer kept"],
    [
      `curl -s localhost:8000/retrieve -H 'content-type: application/json' -d '{"queries":["capital of Peru"],"topk":3,"return_scores":true}'`,
      "what a trainer asks",
    ],
  ],
  configure: (command) => {
    addListening(command, 8000);
    command
      .option("-k, --top <number>", "passages where a request does not say topk", integer(1), 3)
      .option("--max-top <number>", "most passages that a request may ask for", integer(1), 100)
      .option("--at-once <number>", "requests answered at once; further ones get 503", integer(1), 1024)
      .option(
        "--batch <number>",
        "most queries of different requests searched together; none by search services",
        integer(1),
        256,
      )
      .option("--max-passages <number>", "most passages of one request: its queries times topk", integer(1), 25_600);
    addEngineOptions(command);
  },
  async run(terminal, options) {
    const { port, host, top, maxTop, atOnce, batch, maxPassages, timeoutMs, allowHost, allowOrigin } =
      options as unknown as Options;
    const token = process.env[tokenVariable] ?? "";
    const settings = engineSettings(options);
    const opening = openEngine({ ...settings, topK: top });
    const server = await serve({
      engine: opening,
      port,
      host,
      defaultK: top,
      maxK: maxTop,
      maxInFlight: atOnce,
      maxPassages,
      maxPassagesInFlight: 16 * maxPassages,
      allowedHosts: allowHost,
      allowedOrigins: allowOrigin ?? [],
      ...batchesOf(settings.engine, batch, atOnce),
      token,
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    }).catch(async (error: unknown) => {
      await closeWhenOpen(opening);
      throw error;
    });
    if (token === "") noteOpenDoor(terminal, host, { may: "search", variable: tokenVariable });
    return withInterrupt(terminal, "Answering what is under way.", async (signal) => {
      const stopped = new Promise<void>((resolve) => onAbort(signal, () => resolve()));
      try {
        const engine = await Promise.race([opening, stopped]);
        if (engine !== undefined) {
          terminal.print(`${engine.name} at ${server.url}. Ctrl-C ends it.`);
          await stopped;
        }
      } finally {
        await server.close();
        await closeWhenOpen(opening);
      }
      return { url: server.url, port: server.port };
    });
  },
};

/** Search services take one query a request: together, all callers would wait for the slowest query and fail if one is refused. */
function batchesOf(engine = "", batch: number, atOnce: number): { batchQueries: number; batchesUnderWay?: number } {
  return takesOneQueryPerRequest(engine) ? { batchQueries: 1, batchesUnderWay: atOnce } : { batchQueries: batch };
}

/** The code that waits for the engine reports a failure to open. */
async function closeWhenOpen(opening: Promise<SearchEngine>): Promise<void> {
  await opening.then(
    (engine) => engine.close(),
    () => undefined,
  );
}
