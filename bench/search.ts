/** @file Search: one part for each engine and for the comparison with others' libraries, each in a file of `bench/search`. */
import type { BenchGroup, BenchModule } from "./bench.js";

const modules: Readonly<Record<string, () => Promise<BenchModule>>> = {
  "bm25.100k": () => import("./search/bm25.js"),
  "bm25.1m": () => import("./search/bm25.js"),
  "dense.100k": () => import("./search/dense-exact.js"),
  "dense.1m": () => import("./search/dense-lancedb.js"),
  "questions.100k": () => import("./search/questions.js"),
  server: () => import("./search/server.js"),
  peers: () => import("./search/peers.js"),
};

export const parts = Object.keys(modules);

/** Parts that cannot run here say why on stderr and are left out; the rest runs. */
export const bench: BenchGroup = async (context) => {
  for (const part of parts.filter((name) => context.wants(name))) {
    const { bench: measure, unavailable } = await modules[part]();
    const reason = unavailable?.();
    if (reason !== undefined) {
      context.note(`bench: search.${part} is left out. ${reason}`);
      continue;
    }
    context.note(`search.${part}`);
    await measure({ ...context, wants: (name) => name === part });
  }
};
