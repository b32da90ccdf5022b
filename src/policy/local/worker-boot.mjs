// Node 20 cannot load TypeScript in a worker by flags: from the sources, the worker registers tsx itself.
import { register } from "tsx/esm/api";

register();
await import("./worker.ts");
