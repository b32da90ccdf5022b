/** @file The worker of a pool on a failing disk: breaks the disk of its thread, then is booted once more, for the module that the pool has named. */
import { workerData } from "node:worker_threads";
import { breakDisk } from "./failing-disk.test-support.js";
import type { FaultyStart } from "./failing-disk.test-support.js";

const start = workerData as FaultyStart;
breakDisk(start.fault);
start.module = start.original.module;
await import(`${start.original.entry}?again`);
