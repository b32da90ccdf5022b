/** @file Filling a buffer from a place in a file. */
import type { FileHandle } from "node:fs/promises";

/** Reads `bytes.length` bytes from `position` on; throws `onEnd()` when the file ends before. */
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
