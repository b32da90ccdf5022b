/** @file A process that leaves a busy `WorkerProcess` behind without closing it, and prints that one's number. */
import type { EchoTask } from "./echo.test-support.js";
import { WorkerProcess } from "./process.js";

const module = new URL("./echo.test-support", import.meta.url);
const worker = new WorkerProcess<EchoTask, number>({ name: "echo", module, memoryMb: 1024 });
process.stdout.write(String(await worker.run({ processId: true })));
void worker.run({ block: 60_000, after: new Int32Array(1) }).catch(() => undefined);
setTimeout(() => process.exit(), 50);
