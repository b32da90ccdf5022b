/** @file A process with a worker that is held for so many milliseconds, as native code holds it: `interrupt-child.test-support.ts MS`. */
import { writeSync } from "node:fs";
import { WorkerThread } from "../workers/thread.js";
import { exitOnInterrupt } from "./interrupt.js";

exitOnInterrupt();
const after = new Int32Array(new SharedArrayBuffer(4));
const module = new URL("../workers/echo.test-support", import.meta.url);
const worker = new WorkerThread({ name: "echo", module, data: { prefix: "" }, isNative: true });
process.on("exit", () => void writeSync(1, Atomics.load(after, 0) === 1 ? "waited" : "cut off"));
await worker.ready;
worker.run({ block: Number(process.argv[2]), after }).catch(() => {});
while (Atomics.load(after, 0) === 0) await new Promise((resolve) => setTimeout(resolve, 5));
writeSync(1, "busy, ");
