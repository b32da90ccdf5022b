/** @file What a user names as a file must be one: opening a pipe waits for a writer, and reading a device may never end. */
import type { Stats } from "node:fs";
import { stat } from "node:fs/promises";
import { UserError } from "../errors.js";

/**
 * Says nothing about what is not there or is a folder: opening it says that.
 * @throws UserError for a pipe, a socket or a device
 */
export async function requireRegular(path: string): Promise<void> {
  const info = await stat(path).catch(() => undefined);
  if (info !== undefined) requireRegularStats(path, info);
}

/** The same of a path that was looked at. */
export function requireRegularStats(path: string, info: Stats): void {
  if (info.isFile() || info.isDirectory()) return;
  const what = info.isFIFO() ? "a pipe" : info.isSocket() ? "a socket" : "a device";
  throw new UserError(
    `${path} is ${what}, and reading it could wait for ever. Write what it gives into a file, and name that.`,
  );
}
