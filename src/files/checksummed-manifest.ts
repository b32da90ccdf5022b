/**
 * @file What all index folders have in common: `index.json`, a manifest with a checksum of its own, which names the folders of files that
 * belong to it and their checksums. It is written last and by a rename, so that an index is the old one or the new one and never a mixture.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { replaceFile, syncFolder } from "./disk.js";

export const manifestName = "index.json";
/** Folders of files begin with it. */
export const generationPrefix = "generation-";

/** An object as JSON with the checksum of its own content, which stands in the field `seal`. */
export function withChecksum(content: object): string {
  return JSON.stringify({ ...content, seal: checksumOf(content) }, null, 2) + "\n";
}

/**
 * What {@link withChecksum} wrote, and whether the checksum fits the content.
 * @throws SyntaxError when it is not JSON
 */
export function parseChecksummed(text: string): { content: Record<string, unknown>; isWhole: boolean } {
  const parsed = JSON.parse(text) as Record<string, unknown> | null;
  if (typeof parsed !== "object" || parsed === null) return { content: {}, isWhole: false };
  const { seal, ...content } = parsed;
  return { content, isWhole: seal === checksumOf(content) };
}

/** Makes `manifest` the index's. Everything it names is on the disk already, apart from the folder's entries. */
export function commit(out: string, manifest: object): void {
  syncFolder(out);
  replaceFile(join(out, manifestName), withChecksum(manifest));
}

function checksumOf(content: object): string {
  return createHash("sha256").update(JSON.stringify(content)).digest("hex");
}
