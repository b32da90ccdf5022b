/**
 * @file A process that changes an index until it is killed. `node --import tsx killed-writer.test-support.ts change FOLDER FIRST` does the steps
 * of `stepNumber` from FIRST on and prints the number of each when its call has returned; `… build FOLDER CORPUS` builds an index.
 */
import { pathToFileURL } from "node:url";
import { buildIndex } from "./build.js";
import { addToIndex, deleteFromIndex, mergeIndex } from "./change.js";
import type { StoredPassage } from "../../types.js";

export type ChangeStep = { add: StoredPassage[]; replace: boolean } | { delete: string[] } | { merge: true };

/** Adds, deletes, replaces and merges in turn. */
export function stepNumber(number: number): ChangeStep {
  const round = Math.floor(number / 4);
  const passage = (id: string): StoredPassage => ({ id, title: "", text: `lima ${id} in step ${number}` });
  switch (number % 4) {
    case 0:
      return { add: [0, 1, 2].map((n) => passage(`${round}-${n}`)), replace: false };
    case 1:
      return { delete: [`${round}-1`, "no such"] };
    case 2:
      return { add: [passage(`${round}-0`)], replace: true };
    default:
      return { merge: true };
  }
}

/** The living passages after the first `count` steps, in order. */
export function livingAfter(count: number): StoredPassage[] {
  let living: StoredPassage[] = [];
  for (let number = 0; number < count; number++) {
    const step = stepNumber(number);
    const gone = new Set("add" in step ? step.add.map(({ id }) => id) : "delete" in step ? step.delete : []);
    living = living.filter(({ id }) => !gone.has(id));
    if ("add" in step) living.push(...step.add);
  }
  return living;
}

export async function* batchOf(passages: readonly StoredPassage[]): AsyncGenerator<readonly StoredPassage[]> {
  yield passages;
}

async function change(folder: string, first: number): Promise<void> {
  for (let number = first; ; number++) {
    const step = stepNumber(number);
    if ("add" in step) {
      if (number === 0) await buildIndex({ out: folder, passages: batchOf(step.add) });
      else await addToIndex({ folder, passages: batchOf(step.add), replace: step.replace, merge: false });
    } else if ("delete" in step) {
      await deleteFromIndex({ folder, ids: step.delete, merge: false });
    } else {
      await mergeIndex({ folder });
    }
    process.stdout.write(`${number}\n`);
  }
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [task, folder, argument] = process.argv.slice(2);
  if (task === "change") {
    await change(folder, Number(argument));
  } else {
    process.stdout.write("begun\n");
    await buildIndex({ out: folder, corpus: [argument], runBytes: 4_000, workers: 1 });
    process.stdout.write("done\n");
  }
}
