/** @file How busy an evaluation keeps a server that answers after 50 ms, with 64 requests under way at most: searches run meanwhile. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { createInterface } from "node:readline";
import { evaluate } from "../../src/train/evaluate.js";
import type { BenchContext } from "../bench.js";

const places = 64;
const latencyMs = 50;

/** @throws Error when the server does not start, or the evaluation fails */
export async function remoteBusy({ report, note, quick }: BenchContext): Promise<void> {
  const child = spawn(process.execPath, ["--import", "tsx", path.join(import.meta.dirname, "slow-server.ts")], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  try {
    child.stdin.end(JSON.stringify({ places, latencyMs }));
    const [port] = (await once(createInterface(child.stdout), "line")) as [string];
    const address = `http://127.0.0.1:${port}`;
    const questions = Array.from({ length: quick ? 256 : 4000 }, (_, index) => ({
      id: String(index),
      question: `Which city is the capital of the country number ${index}?`,
      answers: ["Lima"],
    }));
    await evaluate(
      {
        server: { url: `${address}/v1`, api: "completions", concurrency: places },
        rollout: { protocol: "search-r1", maxTokensPerTurn: 500, maxConcurrent: 2 * places },
        train: { evalModes: "greedy", keepBest: "greedy" },
      },
      { questions, onNotice: () => undefined },
    );
    const answer = await fetch(`${address}/busy`);
    const { busy, most, requests, seconds } = (await answer.json()) as Record<string, number>;
    note(`bench: ${requests} requests in ${seconds.toFixed(2)} s, at most ${most} at once`);
    report({ name: "eval.remoteBusy", value: busy, unit: "share" });
  } finally {
    child.kill();
  }
}
