/** @file Whole files to damage: those of the golden and compatibility tests. */
import { cp, readFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";

const tests = fileURLToPath(new URL("../../../test/", import.meta.url));

/** What an earlier Sleuth wrote. */
export const compatibility = path.join(tests, "compatibility");
/** What other tools wrote. */
export const golden = path.join(tests, "golden");
export const testdata = fileURLToPath(new URL("../../../src/search/dense/testdata/", import.meta.url));

/** Copies some of a folder's files or folders. */
export async function copy(from: string, to: string, names?: readonly string[]): Promise<void> {
  if (names === undefined) return cp(from, to, { recursive: true });
  for (const name of names) await cp(path.join(from, name), path.join(to, name), { recursive: true });
}

export function textOf(...parts: string[]): Promise<string> {
  return readFile(path.join(...parts), "utf8");
}
