/** @file Queries that come through a pipe, one a line: answered in order, each as soon as it can be, while later ones are searched for. */
import { fstatSync } from "node:fs";
import { createInterface } from "node:readline";

/** Queries under way at once: engines answer what arrives together in one call. */
const searchesAtOnce = 16;

/** Whether a pipe, a file or a socket is this process's standard input; a terminal and /dev/null are none. */
export function isPiped(): boolean {
  try {
    const stat = fstatSync(0);
    return stat.isFIFO() || stat.isFile() || stat.isSocket();
  } catch {
    return false;
  }
}

/**
 * Answers every line; a blank one is a query, too. A program that waits for each answer before it asks again gets it.
 * @returns how many lines there were
 * @throws what `search` and `answer` throw; the signal's reason
 */
export async function answerPiped<Found>(
  input: NodeJS.ReadableStream,
  search: (query: string) => Promise<Found>,
  answer: (query: string, found: Found) => void,
  signal: AbortSignal,
): Promise<number> {
  const answered: Promise<void>[] = [];
  let last = Promise.resolve();
  let count = 0;
  for await (const line of createInterface({ input, crlfDelay: Infinity, signal })) {
    const query = line.replace(/^\ufeff/, "").trim();
    const found = search(query);
    last = Promise.all([found, last]).then(([result]) => answer(query, result));
    // Awaited later: a failure meanwhile is no unhandled one.
    last.catch(() => {});
    answered.push(last);
    count++;
    if (answered.length >= searchesAtOnce) await answered.shift();
  }
  await last;
  signal.throwIfAborted();
  return count;
}
