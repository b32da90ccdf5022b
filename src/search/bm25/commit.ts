/** @file The one step that commits a change of an index, tidying up, and what is said when the disk fails. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { removeQuietly } from "../../files/disk.js";
import { writeError } from "../../files/durable.js";
import { commitManifest, generationPrefix } from "../index-folder.js";
import type { Manifest } from "./format.js";

/** Commits a manifest and removes what it does not need. When the commit fails, the new segment that the manifest names goes. */
export function commitIndex(out: string, manifest: Manifest, newFolder?: string): void {
  try {
    commitManifest(out, manifest);
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

/** What the system says of a write to the index in `out`, in words; every other error as it is. */
export function indexWriteError(out: string, error: unknown): unknown {
  const advice = "What was there before is unchanged. Make room, or choose another --out, and run again.";
  return writeError(`the index ${out}`, error, advice);
}
