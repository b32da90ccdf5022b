// Node 20 cannot load TypeScript in a worker by flags: from the sources, the worker (or the process with a worker) registers tsx itself. Tests have the
// sources as JavaScript.
import { existsSync } from "node:fs";
import { workerData } from "node:worker_threads";

const { SLEUTH_TRANSPILED: transpiled } = process.env;
const sources = new URL("..", import.meta.url).href;
const module = workerData?.module ?? process.argv[3];
const compiled =
  transpiled !== undefined && module.startsWith(sources)
    ? new URL(module.slice(sources.length).replace(/\.ts$/, ".js"), `file://${transpiled}/`)
    : undefined;
if (compiled !== undefined && existsSync(compiled)) {
  await import(compiled.href);
} else {
  const { register } = await import("tsx/esm/api");
  register();
  await import(module);
}
