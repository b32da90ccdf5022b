/** @file A list of a folder's files with sizes and hashes, by which a half-written or damaged checkpoint is recognised. */
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { checksumSchema, sha256OfFile, type FileChecksum } from "./checksummed-file.js";
import { parseChecksummed, withChecksum } from "./checksummed-json.js";
import { isSafePath } from "./safe-path.js";

const manifestName = "manifest.json";

interface ManifestEntry extends FileChecksum {
  /** Relative to the folder, with forward slashes. */
  path: string;
}

const manifestSchema = z.object({
  files: z
    .array(z.object({ path: z.string().refine(isSafePath, "no path below the folder"), ...checksumSchema.shape }))
    .min(1),
});

/** Writes `manifest.json` over everything else in the folder. */
export async function writeManifest(folder: string): Promise<void> {
  const entries: ManifestEntry[] = [];
  for (const name of (await filesBelow(folder)).sort()) {
    if (path.basename(name) === manifestName) continue;
    const file = path.join(folder, name);
    entries.push({ path: name, bytes: (await stat(file)).size, sha256: await sha256OfFile(file) });
  }
  await writeFile(path.join(folder, manifestName), withChecksum({ files: entries }));
}

/** What is wrong with the folder, in words; null when it is exactly as it was written. */
export async function manifestProblem(folder: string): Promise<string | null> {
  const entries = await readManifest(folder);
  if (typeof entries === "string") return entries;
  for (const entry of entries) {
    const file = path.join(folder, entry.path);
    const bytes = await stat(file).then(
      (info) => (info.isFile() ? info.size : -1),
      () => -1,
    );
    if (bytes < 0) return `${entry.path} is missing`;
    if (bytes !== entry.bytes) return `${entry.path} has ${bytes} bytes instead of ${entry.bytes}`;
    const sha256 = await sha256OfFile(file).catch(() => undefined);
    if (sha256 === undefined) return `${entry.path} cannot be read`;
    if (sha256 !== entry.sha256) return `${entry.path} has other content than was written`;
  }
  return null;
}

/** Whether a folder has a manifest. */
export function hasManifest(folder: string): Promise<boolean> {
  return stat(path.join(folder, manifestName)).then(
    () => true,
    () => false,
  );
}

/** The entries, or what is wrong with the manifest itself. Manifests of older versions carry no checksum. */
async function readManifest(folder: string): Promise<ManifestEntry[] | string> {
  let read: ReturnType<typeof parseChecksummed>;
  try {
    read = parseChecksummed(await readFile(path.join(folder, manifestName), "utf8"));
  } catch {
    return `${manifestName} is missing or damaged`;
  }
  const parsed = manifestSchema.safeParse(read.content);
  if (!parsed.success || read.isWhole === false) return `${manifestName} is damaged`;
  return parsed.data.files;
}

/** All files below a folder, relative to it, with forward slashes. */
export async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const nested = await Promise.all(
    entries.map(async (entry) => {
      if (!entry.isDirectory()) return [entry.name];
      return (await filesBelow(path.join(folder, entry.name))).map((name) => `${entry.name}/${name}`);
    }),
  );
  return nested.flat();
}
