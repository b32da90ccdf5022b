/**
 * @file What all index folders have in common: `index.json`, a manifest sealed with a hash of its own, which names the folders of files that
 * belong to it and their hashes. It is written last and by a rename, so that an index is the old one or the new one and never a mixture.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { removeQuietly, type OutputFiles } from "./disk.js";

export const manifestName = "index.json";
/** Folders of files begin with it. */
export const generationPrefix = "generation-";
const unfinishedManifest = `${manifestName}.new`;

/** Size and SHA-256 (hex) of a file. */
export interface FileSeal {
  bytes: number;
  sha256: string;
}

/** An object as JSON, sealed with a hash of its own. */
export function sealed(content: object): string {
  return JSON.stringify({ ...content, seal: sealOf(content) }, null, 2) + "\n";
}

/**
 * What {@link sealed} sealed, or why it is not that.
 * @throws SyntaxError when it is not JSON
 */
export function unsealed(text: string): { content: Record<string, unknown>; isWhole: boolean } {
  const parsed = JSON.parse(text) as Record<string, unknown> | null;
  if (typeof parsed !== "object" || parsed === null) return { content: {}, isWhole: false };
  const { seal, ...content } = parsed;
  return { content, isWhole: seal === sealOf(content) };
}

/** Makes `manifest` the index's. Everything it names is on the disk already, apart from the folder's entries. */
export function commit(out: string, manifest: object, files: OutputFiles): void {
  const unfinished = join(out, unfinishedManifest);
  files.remove(unfinished);
  const file = files.create(unfinished);
  try {
    file.write(Buffer.from(sealed(manifest)));
  } catch (error) {
    file.abandon();
    removeQuietly(unfinished, files);
    throw error;
  }
  try {
    file.finish();
    files.syncFolder(out);
    files.rename(unfinished, join(out, manifestName));
  } catch (error) {
    removeQuietly(unfinished, files);
    throw error;
  }
  try {
    files.syncFolder(out);
  } catch {
    // The rename has happened: the change is in force, and undoing it would leave none.
  }
}

function sealOf(content: object): string {
  return createHash("sha256").update(JSON.stringify(content)).digest("hex");
}
