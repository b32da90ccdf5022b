/** @file Index folders and vectors that were made elsewhere. */
import { existsSync } from "node:fs";
import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { sha256OfFile } from "../../../src/files/checksummed-file.js";
import { parseChecksummed, withChecksum } from "../../../src/files/checksummed-json.js";
import { Random } from "../../../src/random.js";
import { openIndex, verifyIndex } from "../../../src/search/bm25/open.js";
import { findUnfinished } from "../../../src/search/dense/index/writer.js";
import { DenseEngine } from "../../../src/search/dense/engine.js";
import { openDenseIndex } from "../../../src/search/dense/index/open.js";
import { buildLanceTable } from "../../../src/search/dense/lancedb/build.js";
import { LancePassages } from "../../../src/search/dense/lancedb/passages.js";
import { openVectors, type OpenVectorsOptions } from "../../../src/search/dense/vectors/open-vectors.js";
import { WordEncoder } from "../../../src/search/dense/word-encoder.test-support.js";
import type { SearchEngine } from "../../../src/search/engine.js";
import { locateIndex } from "../../../src/search/locate-index.js";
import type { Loader } from "../loader.js";
import { compatibility, copy, testdata } from "./given.js";

const queries = ["lima capital", "sol currency of peru", "zzz"];

async function answers(engine: SearchEngine): Promise<unknown> {
  try {
    return await engine.searchBatch(queries, 50);
  } finally {
    await engine.close();
  }
}

/** Sizes and hashes of all files that the manifest names, as they are now; and the manifest's own checksum. */
async function writeChecksums(folder: string): Promise<void> {
  const file = path.join(folder, "index.json");
  const { content } = parseChecksummed(await readFile(file, "utf8"));
  const measure = async (record: Record<string, unknown>, generation: unknown): Promise<void> => {
    for (const [name, checksum] of Object.entries((record.files ?? {}) as Record<string, object>)) {
      const place = path.join(folder, String(generation), name);
      if (!existsSync(place)) continue;
      Object.assign(checksum, { bytes: (await stat(place)).size, sha256: await sha256OfFile(place) });
    }
  };
  const segments = (content.segments ?? []) as Record<string, unknown>[];
  for (const segment of segments) await measure(segment, segment.folder);
  if (content.generation !== undefined) await measure(content, content.generation);
  await writeFile(file, withChecksum(content));
}

async function searchDense(folder: string): Promise<unknown> {
  const { nearest } = await openDenseIndex(folder, { threads: 1 });
  try {
    return await new DenseEngine(new WordEncoder(), nearest).searchBatch(queries, 50);
  } finally {
    await nearest.close();
  }
}

async function searchLance(folder: string): Promise<void> {
  await locateIndex(folder, "lancedb");
  const passages = await LancePassages.open({
    address: folder,
    table: "passages",
    columns: {},
    environment: {},
    timeoutMs: 5000,
  });
  try {
    await passages.search(new Float32Array(passages.dimensions).fill(0.1), 5);
  } finally {
    await passages.close();
  }
}

async function readVectors(file: string, options: OpenVectorsOptions = {}): Promise<void> {
  const source = await openVectors(file, options);
  try {
    for await (const rows of source.rows()) void rows.vectors.length;
  } finally {
    await source.close();
  }
}

export const indexLoaders: readonly Loader[] = [
  {
    name: "bm25",
    make: (folder) => copy(path.join(compatibility, "bm25"), folder),
    load: async (folder) => answers(await openIndex(await locateIndex(folder, "bm25"), {}, { workers: 0 })),
    isChecked: true,
    writeChecksums,
    // What hides in files with new checksums shows as answers, or as damage of a passage.
    isNameless: true,
  },
  {
    name: "bm25-verify",
    make: (folder) => copy(path.join(compatibility, "bm25"), folder),
    load: (folder) => verifyIndex(folder),
    isChecked: true,
  },
  {
    name: "dense",
    make: (folder) => copy(path.join(compatibility, "dense"), folder),
    load: searchDense,
    isChecked: true,
    writeChecksums,
    isNameless: true,
  },
  {
    name: "dense-progress",
    make: async (folder) => {
      await mkdir(path.join(folder, "generation-1"));
      const progress = { encoder: "words", dimensions: 8, rows: 3, passageBytes: 90, digest: 7 };
      await writeFile(path.join(folder, "generation-1/progress.json"), JSON.stringify(progress));
    },
    load: async (folder) => findUnfinished(folder),
  },
  {
    name: "lancedb",
    make: async (folder) => {
      const random = new Random(3);
      const passages = Array.from({ length: 20 }, (_, id) => ({ id: `${id}`, title: `t${id}`, text: `text ${id}` }));
      const vectors_N_E = Float32Array.from({ length: 20 * 8 }, () => random.next() - 0.5);
      await buildLanceTable({ address: folder, rows: [{ passages, vectors_N_E }], encoderName: "words" });
    },
    // Data files carry no checksum, and damaged numbers in them can end the process inside LanceDB: a limit that docs/fuzzing.md names.
    damages: (file) => !file.includes(`${path.sep}data${path.sep}`),
    load: searchLance,
    // LanceDB's own words name its own files.
    isNameless: true,
  },
  {
    name: "npy",
    make: (folder) => copy(testdata, folder, ["version-1.npy"]),
    load: (folder) => readVectors(path.join(folder, "version-1.npy")),
  },
  {
    name: "raw-vectors",
    make: (folder) => writeFile(path.join(folder, "vectors.f32"), new Uint8Array(4 * 8 * 16)),
    load: (folder) => readVectors(path.join(folder, "vectors.f32"), { dimensions: 8 }),
  },
  {
    name: "vectors-parquet",
    make: (folder) => copy(testdata, folder, ["list-float.parquet", "fixed-double.parquet"]),
    load: async (folder) => {
      await readVectors(path.join(folder, "list-float.parquet"));
      await readVectors(path.join(folder, "fixed-double.parquet"), { columns: { id: "key", vector: "vec" } });
    },
  },
];
