/** @file A process that writes a table until it is done, fails or is killed. Says on stdout, line by line, what is durable. */
import { LanceTable, buildLanceTable } from "./build.js";
import { inPieces, wordEncoder } from "./tables.test-support.js";
import type { StoredPassage } from "../../../types.js";

export interface ChildTask {
  address: string;
  do: "build" | "add";
  passages: number;
  rowsPerCommit: number;
}

export function childPassages(count: number): StoredPassage[] {
  return Array.from({ length: count }, (_, row) => ({
    id: `p${row}`,
    title: `Passage ${row}`,
    text: `word${row} of many`,
  }));
}

/** For the process: the passages of the task, committed `rowsPerCommit` at a time. */
export async function work({ address, do: what, passages, rowsPerCommit }: ChildTask): Promise<void> {
  const say = (rows: number): void => void process.stdout.write(`${rows}\n`);
  const all = childPassages(passages);
  const encoder = wordEncoder();
  if (what === "build") {
    await buildLanceTable({
      address,
      encoder,
      rows: inPieces(all, 50),
      source: "children",
      rowsPerCommit,
      onProgress: ({ passages }) => say(passages),
    });
    return;
  }
  const table = await LanceTable.open({ address, encoder });
  for (let first = 0; first < passages; first += rowsPerCommit) {
    await table.add({ passages: all.slice(first, first + rowsPerCommit) });
    say(first + rowsPerCommit);
  }
  await table.close();
}

if (process.argv[1]?.endsWith("lancedb/child.test-support.ts")) {
  try {
    await work(JSON.parse(process.argv[2]) as ChildTask);
  } catch (error) {
    process.stderr.write(`${(error as Error).name}: ${(error as Error).message}\n`);
    process.exitCode = 3;
  }
}
