/** @file Reading a file by places. */
import { readSync } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { UserError } from "../errors.js";
import { requireRegular } from "./regular.js";

/**
 * Opens a file to read from. The caller closes it.
 * @throws UserError when there is none, or something else in its place: a folder, a pipe, a device
 */
export async function openToRead(file: string): Promise<FileHandle> {
  await requireRegular(file);
  const handle = await open(file, "r").catch((cause: Error) => {
    throw new UserError(`Cannot open ${file}: ${cause.message}. Check the path.`, { cause });
  });
  if (!(await handle.stat()).isDirectory()) return handle;
  await handle.close();
  throw new UserError(`Cannot open ${file}: it is a folder, and a file was expected. Check the path.`);
}

/** Fills `bytes` from `position` on; throws `onEnd()` when the file ends before. */
export async function readInto(
  handle: FileHandle,
  bytes: Uint8Array,
  position: number,
  onEnd: () => Error,
): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesRead } = await handle.read(bytes, done, bytes.length - done, position + done);
    if (bytesRead === 0) throw onEnd();
    done += bytesRead;
  }
}

/** The same for an open file's descriptor, at once: for much that is read in small parts. */
export function readIntoSync(descriptor: number, bytes: Uint8Array, position: number, onEnd: () => Error): void {
  for (let done = 0; done < bytes.length;) {
    const count = readSync(descriptor, bytes, done, bytes.length - done, position + done);
    if (count === 0) throw onEnd();
    done += count;
  }
}
