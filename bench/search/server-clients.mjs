/**
 * @file Clients of a /retrieve server, for bench/search/server.ts: so many callers on kept connections, each making one call at a time.
 * Arguments: URL, file with a JSON list of lists of queries (one list for each call), callers, topk. Prints {"qps", "p50", "p99"} (milliseconds of a call).
 */
import { readFileSync } from "node:fs";
import { Agent, request } from "node:http";

const [url, file, callers, topk] = process.argv.slice(2);
const calls = JSON.parse(readFileSync(file, "utf8"));
const agent = new Agent({ keepAlive: true, maxSockets: Number(callers) });

/** Bytes of the answer: reading it as JSON would measure this process. */
function ask(queries) {
  const body = JSON.stringify({ queries, topk: Number(topk), return_scores: true });
  const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
  return new Promise((resolve, reject) => {
    const asked = request(url, { method: "POST", agent, headers }, (response) => {
      let bytes = 0;
      response.on("data", (piece) => (bytes += piece.length));
      response.on("end", () =>
        response.statusCode === 200 ? resolve(bytes) : reject(new Error(`status ${response.statusCode}`)),
      );
    });
    asked.on("error", reject);
    asked.end(body);
  });
}

async function askAll(list) {
  const times = [];
  let next = 0;
  const caller = async () => {
    while (next < list.length) {
      const queries = list[next++];
      const started = performance.now();
      await ask(queries);
      times.push(performance.now() - started);
    }
  };
  const started = performance.now();
  await Promise.all(Array.from({ length: Number(callers) }, caller));
  return { seconds: (performance.now() - started) / 1000, times: times.sort((a, b) => a - b) };
}

await askAll(calls.slice(0, 128));
const { seconds, times } = await askAll(calls);
const at = (share) => times[Math.min(times.length - 1, Math.floor(times.length * share))];
process.stdout.write(`${JSON.stringify({ qps: calls.flat().length / seconds, p50: at(0.5), p99: at(0.99) })}\n`);
agent.destroy();
