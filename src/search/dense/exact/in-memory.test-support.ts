/** @file Exact search over passages and vectors that a test has in memory. */
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { StoredPassage } from "../../../types.js";
import { PassagesInMemory } from "../../passages.js";
import { ExactPassages } from "./exact-passages.js";

/** @param vectors_N_E unit vectors, [passages × dimensions] */
export async function exactOver(
  passages: readonly StoredPassage[],
  vectors_N_E: Float32Array,
  encoder: string,
): Promise<ExactPassages> {
  const folder = mkdtempSync(path.join(tmpdir(), "sleuth-exact-"));
  try {
    const file = path.join(folder, "vectors.f32");
    const bytes = new Uint8Array(vectors_N_E.buffer, vectors_N_E.byteOffset, vectors_N_E.byteLength);
    writeFileSync(file, bytes);
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    const vectors = { file, bytes: bytes.length, sha256, remedy: "" };
    const dimensions = vectors_N_E.length / passages.length;
    return await ExactPassages.open(
      { passages: new PassagesInMemory(passages), vectors, dimensions, encoder },
      { threads: 1 },
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}
