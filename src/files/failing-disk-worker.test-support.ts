/** @file The worker of a pool on a failing disk: breaks the disk of its thread, then does what it was meant to do. */
import { workerData } from "node:worker_threads";
import { breakDisk } from "./failing-disk.test-support.js";
import type { FaultyStart } from "./failing-disk.test-support.js";

const { original, fault } = workerData as FaultyStart;
breakDisk(fault);
await import(original);
