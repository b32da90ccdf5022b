/** @file Paths that files and servers name: whether they stay below the folder that they belong to. */

/** A plain relative path with forward slashes, without `..`: on every system it means a file below the folder. */
export function isSafePath(path: string): boolean {
  return !/[\\:\0]/.test(path) && path.split("/").every((part) => part !== "" && part !== "." && part !== "..");
}

/** The name of a file or folder, without any path. */
export function isPlainName(name: string): boolean {
  return !name.includes("/") && isSafePath(name);
}
