/**
 * @file A server with OpenAI's completions that answers after a fixed time, in a process of its own: a search where nothing was found yet, an answer else.
 * `/busy` tells what share of its places were in use between the first request and the last. Prints its port.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";

interface Settings {
  latencyMs: number;
  places: number;
}

const { latencyMs, places } = (await json(process.stdin)) as Settings;

/** Requests under way, and their sum over time until the last one came. */
let [underWay, taken, since, first, last, requests] = [0, 0, 0, 0, 0, 0];
let [takenAtLast, most] = [0, 0];

function count(change: 1 | -1): void {
  const now = performance.now();
  taken += underWay * (now - since);
  since = now;
  underWay += change;
  most = Math.max(most, underWay);
  if (change < 0) return;
  if (requests++ === 0) first = now;
  [last, takenAtLast] = [now, taken];
}

const server = createServer((request, response) => {
  const pieces: Buffer[] = [];
  request.on("data", (piece: Buffer) => pieces.push(piece));
  request.on("end", () => {
    if (request.method === "GET") {
      if (request.url === "/busy") {
        const busy = takenAtLast / (places * (last - first));
        return response.end(JSON.stringify({ busy, most, requests, seconds: (last - first) / 1000 }));
      }
      return response.end(JSON.stringify({ data: [{ id: "slow" }] }));
    }
    const { prompt, max_tokens } = JSON.parse(Buffer.concat(pieces).toString("utf8")) as {
      prompt: string;
      max_tokens: number;
    };
    // The trial, before the first question.
    const isTrial = max_tokens === 16;
    if (!isTrial) count(1);
    setTimeout(() => {
      if (!isTrial) count(-1);
      const found = prompt.includes("<information>Doc 1");
      const text = found
        ? "<think> There it is. </think>\n<answer> Lima "
        : "<think> I look it up. </think>\n<search> the capital ";
      const usage = { prompt_tokens: 200, completion_tokens: 20 };
      response.end(JSON.stringify({ choices: [{ index: 0, finish_reason: "stop", text }], usage }));
    }, latencyMs);
  });
});
// Connections outlast pauses of the client: none may break off.
server.keepAliveTimeout = 600_000;
server.listen(0, "127.0.0.1", () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`));
