/**
 * @file Documents taken apart into passages: files a second of each kind, on folders that are made here from a seed. A process of its own
 * takes them apart twice; the second time counts.
 */
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import path from "node:path";
import type { BenchContext, BenchGroup } from "./bench.js";
import { runCase } from "./case.js";
import { kinds, makeDocuments } from "./documents/corpus.js";
import type { DocumentsFigures } from "./documents/case.js";

export { kinds };
export const parts: readonly string[] = kinds;

/** Reports `documents.KIND`, and `documents.KIND.cpu` of processor time, which other work on the machine disturbs less. */
export const bench: BenchGroup = async (context) => {
  const corpus = await documentsCorpus(context);
  for (const kind of kinds.filter((name) => context.wants(name))) {
    context.note(`documents.${kind}`);
    const { wall, cpu } = await documentsPerSecond(path.join(corpus, kind), path.join(corpus, "gathered"));
    context.report({ name: `documents.${kind}`, value: wall, unit: "files/s" });
    context.report({ name: `documents.${kind}.cpu`, value: cpu, unit: "files/s of processor time" });
  }
};

/** The folder with a folder of documents for each kind. */
export function documentsCorpus({ quick, note }: BenchContext): Promise<string> {
  return makeDocuments(quick ? 0.02 : 1, note);
}

/**
 * Files a second, of wall time and of processor time.
 * @param documents folder of them
 * @param out scratch folder
 * @param root of the checkout that takes them apart; default: this one
 */
export async function documentsPerSecond(
  documents: string,
  out: string,
  root = process.cwd(),
): Promise<{ wall: number; cpu: number }> {
  const own = path.join("documents", "case.ts");
  // Commits before this bench have no such script: this one loads their modules.
  const script = existsSync(path.join(root, "bench", own)) ? own : path.join(import.meta.dirname, own);
  const options = { documents: path.resolve(documents), out: path.resolve(out) };
  try {
    const { files, seconds, cpuSeconds } = await runCase<DocumentsFigures>(script, options, { root });
    return { wall: files / seconds, cpu: files / cpuSeconds };
  } finally {
    await rm(out, { recursive: true, force: true });
  }
}
