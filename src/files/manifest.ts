/** @file A list of a folder's files with sizes and hashes, by which a half-written or damaged checkpoint is recognised. */
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { sha256OfFile, type FileChecksum } from "./checksummed-file.js";

const manifestName = "manifest.json";

interface ManifestEntry extends FileChecksum {
  /** Relative to the folder, with forward slashes. */
  path: string;
}

/** Writes `manifest.json` over everything else in the folder. */
export async function writeManifest(folder: string): Promise<void> {
  const entries: ManifestEntry[] = [];
  for (const name of (await filesBelow(folder)).sort()) {
    const file = path.join(folder, name);
    entries.push({ path: name, bytes: (await stat(file)).size, sha256: await sha256OfFile(file) });
  }
  await writeFile(path.join(folder, manifestName), JSON.stringify({ files: entries }, null, 2) + "\n");
}

/** What is wrong with the folder, in words; null when it is exactly as it was written. */
export async function manifestProblem(folder: string): Promise<string | null> {
  let entries: ManifestEntry[];
  try {
    entries = (JSON.parse(await readFile(path.join(folder, manifestName), "utf8")) as { files: ManifestEntry[] }).files;
    if (!Array.isArray(entries)) return `${manifestName} is not a manifest`;
  } catch {
    return `${manifestName} is missing or damaged`;
  }
  for (const entry of entries) {
    const file = path.join(folder, entry.path);
    const bytes = await stat(file).then(
      (info) => info.size,
      () => -1,
    );
    if (bytes < 0) return `${entry.path} is missing`;
    if (bytes !== entry.bytes) return `${entry.path} has ${bytes} bytes instead of ${entry.bytes}`;
    if ((await sha256OfFile(file)) !== entry.sha256) return `${entry.path} has other content than was written`;
  }
  return null;
}

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const nested = await Promise.all(
    entries.map(async (entry) => {
      if (!entry.isDirectory()) return [entry.name];
      return (await filesBelow(path.join(folder, entry.name))).map((name) => `${entry.name}/${name}`);
    }),
  );
  return nested.flat().filter((name) => name !== manifestName);
}
