/** @file The one step that commits a change of an index, what is checked before it, and tidying up. */
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "../../errors.js";
import { commit, generationPrefix, manifestName } from "../../files/checksummed-manifest.js";
import { removeQuietly } from "../../files/disk.js";
import { writeError } from "../../files/durable.js";
import { isLockFile } from "../index-lock.js";
import type { Manifest } from "./format.js";

/** Commits a manifest and removes what it does not need. When the commit fails, the new segment that the manifest names goes. */
export function commitIndex(out: string, manifest: Manifest, newFolder?: string): void {
  try {
    commit(out, manifest);
  } catch (error) {
    if (newFolder !== undefined) removeQuietly(join(out, newFolder));
    throw error;
  }
  removeUnneeded(out, manifest);
}

/** Removes what a manifest does not need: replaced segments and tombstones, what killed writers left. */
export function removeUnneeded(out: string, { segments }: Pick<Manifest, "segments">): void {
  const needed = new Map(segments.map((segment) => [segment.folder, segment]));
  for (const name of readdirSync(out)) {
    if (!name.startsWith(generationPrefix)) continue;
    const folder = join(out, name);
    const segment = needed.get(name);
    if (segment === undefined) {
      removeQuietly(folder);
      continue;
    }
    const kept = new Set([...Object.keys(segment.files), segment.tombstones?.file]);
    for (const file of readdirSync(folder)) if (!kept.has(file)) removeQuietly(join(folder, file));
  }
}

/** @throws UserError unless `out` is free or an index of ours. */
export function checkTarget(out: string): void {
  if (!existsSync(out)) return;
  if (!statSync(out).isDirectory())
    throw new UserError(`${out} is a file; an index is a folder. Choose another --out.`);
  const isOurs = (name: string): boolean =>
    name.startsWith(manifestName) || name.startsWith(generationPrefix) || isLockFile(name);
  const names = readdirSync(out);
  const foreign = names.find((name) => !isOurs(name));
  if (foreign !== undefined)
    throw new UserError(
      `${out} holds other files (${foreign}); an index needs a folder of its own. Choose another --out.`,
    );
  // A dense index, finished or not, has the same names: hours of encoding are not thrown away for a --engine that was forgotten.
  if (names.some((name) => name.startsWith(generationPrefix) && existsSync(join(out, name, "vectors.f32"))))
    throw new UserError(`${out} holds an index of another kind (dense). Choose another --out, or remove the folder.`);
}

/** What the system says of a write to the index in `out`, in words; every other error as it is. */
export function indexWriteError(out: string, error: unknown): unknown {
  const advice = "What was there before is unchanged. Make room, or choose another --out, and run again.";
  return writeError(`the index ${out}`, error, advice);
}
