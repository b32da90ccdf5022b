/** @file Telling large files from others without reading all of them. */
import { createHash, type Hash } from "node:crypto";
import { open, readdir, stat } from "node:fs/promises";
import path from "node:path";

/** Places of a file that are looked at, and bytes read at each. */
const places = 16;
const pieceBytes = 65_536;

/**
 * A digest of the names, the sizes and some content of a file, or of the files of a folder. Files that differ in a few bytes may have the same; weights that
 * were trained on have not.
 * @param isWanted chooses among a folder's files by their names; default all
 */
export async function fingerprintOf(
  fileOrFolder: string,
  isWanted: (name: string) => boolean = () => true,
): Promise<string> {
  const hash = createHash("sha256");
  if ((await stat(fileOrFolder)).isDirectory()) {
    const entries = await readdir(fileOrFolder, { withFileTypes: true });
    const names = entries.filter((entry) => !entry.isDirectory() && isWanted(entry.name)).map(({ name }) => name);
    for (const name of names.sort()) await addFile(hash, path.join(fileOrFolder, name));
  } else await addFile(hash, fileOrFolder);
  return hash.digest("hex").slice(0, 32);
}

async function addFile(hash: Hash, file: string): Promise<void> {
  const handle = await open(file, "r");
  try {
    const { size } = await handle.stat();
    hash.update(`${path.basename(file)} ${size}\n`);
    const piece = Buffer.alloc(pieceBytes);
    for (let place = 0; place < places; place++) {
      const start = Math.floor((Math.max(0, size - pieceBytes) * place) / (places - 1));
      const { bytesRead } = await handle.read(piece, 0, pieceBytes, start);
      hash.update(piece.subarray(0, bytesRead));
    }
  } finally {
    await handle.close();
  }
}
