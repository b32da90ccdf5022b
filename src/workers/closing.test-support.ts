/** @file A process that closes a pool while an answer is on its way, with nothing else that keeps it alive. */
import { WorkerPool } from "./pool.js";

const module = new URL("./echo.test-support", import.meta.url);
const pool = await WorkerPool.open<object, string>({ name: "echo", module, workers: 1, data: { prefix: "" } });
const answer = pool.run({ say: "too late" });
answer.catch(() => process.stdout.write("failed, "));
// This thread hears nothing meanwhile: the answer waits for it.
Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
await pool.close();
process.stdout.write("closed");
