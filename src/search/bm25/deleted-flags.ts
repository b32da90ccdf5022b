/** @file Deleted passages as one byte per passage. */

/** 1 for each deleted passage, in memory that threads can share; undefined where none is. Length N. */
export function deletedFlags(passages: number, deleted: Uint32Array): Uint8Array | undefined {
  if (deleted.length === 0) return undefined;
  const flags = new Uint8Array(new SharedArrayBuffer(passages));
  for (const passage of deleted) flags[passage] = 1;
  return flags;
}
