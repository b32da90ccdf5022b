// Node 20 cannot load TypeScript in a worker by flags: from the sources, the worker registers tsx itself.
import { workerData } from "node:worker_threads";
import { register } from "tsx/esm/api";

register();
await import(workerData.module);
