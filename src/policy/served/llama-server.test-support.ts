/** @file A real llama.cpp server for tests, and why they are skipped without it. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { sleep } from "../../async.js";
import { smollm2, smollm2IsAbsent } from "../../engine/io/smollm2.test-support.js";

/** A Python that has llama-cpp-python[server]: the variable SLEUTH_LLAMA_PYTHON, else that of the virtual environment .cache/llama-server. */
const python =
  process.env.SLEUTH_LLAMA_PYTHON ?? fileURLToPath(new URL("../../../.cache/llama-server/bin/python", import.meta.url));

export const llamaIsAbsent = smollm2IsAbsent || !existsSync(python);

/** For the titles of tests that need the server. */
export const llamaReason = smollm2IsAbsent
  ? " (skipped: npm run fixtures:smollm2 fetches the model)"
  : llamaIsAbsent
    ? " (skipped: SLEUTH_LLAMA_PYTHON names no Python with llama-cpp-python[server]; docs/served-models.md)"
    : "";

export interface LlamaServer {
  /** `http://127.0.0.1:PORT/v1` */
  url: string;
  stop(): void;
}

/** Starts llama-cpp-python's server with SmolLM2 and waits until it answers. */
export async function startLlama(contextLength: number): Promise<LlamaServer> {
  const port = await freePort();
  const settings = [
    "--model",
    smollm2,
    "--host",
    "127.0.0.1",
    "--port",
    String(port),
    "--n_ctx",
    String(contextLength),
  ];
  const child = spawn(python, ["-m", "llama_cpp.server", ...settings, "--verbose", "false"], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  child.stderr.on("data", (piece) => (said = (said + String(piece)).slice(-2000)));
  const url = `http://127.0.0.1:${port}/v1`;
  for (let waitedMs = 0; waitedMs < 60_000; waitedMs += 100) {
    if (child.exitCode !== null) throw new Error(`llama_cpp.server has ended: ${said}`);
    const isThere = await fetch(`${url}/models`).then(
      ({ ok }) => ok,
      () => false,
    );
    if (isThere) return { url, stop: () => void child.kill("SIGKILL") };
    await sleep(100);
  }
  child.kill("SIGKILL");
  throw new Error(`llama_cpp.server does not answer: ${said}`);
}

function freePort(): Promise<number> {
  const probe = createServer();
  return new Promise((resolve) => {
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address() as AddressInfo;
      probe.close(() => resolve(port));
    });
  });
}
