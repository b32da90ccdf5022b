/** @file Constants that lie in a file, read back where somebody wants the numbers themselves. */
import { closeSync, openSync, readSync } from "node:fs";
import type { ConstantData, StoredData } from "./ops.js";

export function isStored(data: ConstantData): data is StoredData {
  return "file" in data;
}

/** The numbers, in memory. */
export function readStored(data: ConstantData): Float32Array | Int32Array {
  if (!isStored(data)) return data;
  const values = new Float32Array(data.length);
  const bytes = new Uint8Array(values.buffer);
  const descriptor = openSync(data.file, "r");
  try {
    for (let done = 0; done < bytes.length;) {
      const count = readSync(descriptor, bytes, done, bytes.length - done, data.offset + done);
      if (count === 0) throw new Error(`internal: ${data.file} ends before its constants do`);
      done += count;
    }
  } finally {
    closeSync(descriptor);
  }
  return values;
}
