/** @file The worker behind `ExactPassages`: holds the vectors in chunks and multiplies queries with them. */
import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import type { EncodedModel } from "../../../engine/onnx/emitter.js";
import { ModelSession } from "../../../engine/runtime/model-session.js";
import { UserError } from "../../../errors.js";
import { readInto } from "../../../files/read-into.js";
import { serveTasks } from "../../../workers/serve-tasks.js";
import { Candidates, innerProduct, slackOf } from "./top-rows.js";

/** A file of little-endian float32, [rows × dimensions], with its size and SHA-256. */
export interface VectorFile {
  file: string;
  bytes: number;
  sha256: string;
  /** For messages: how it is made anew. */
  remedy: string;
}

export interface ExactData {
  vectors: VectorFile;
  dimensions: number;
  threads: number;
  /** The product, encoded: the worker does not load what encodes it. */
  product: EncodedModel;
}

export interface ExactTask {
  /** [queries × dimensions] */
  queries_Q_E: Float32Array;
  k: number;
}

/** For each query `counts[q]` rows with their scores, one after another. */
export interface ExactAnswer {
  counts: Uint32Array;
  rows: Uint32Array;
  scores: Float64Array;
}

/** Rows multiplied at once: their scores for 64 queries take 4 MiB. */
const rowsPerChunk = 16_384;

/** From so many queries on, the product is fastest with the queries as its rows; below, with the passages. */
const queriesAsRows = 4;

await serveTasks(async ({ vectors, dimensions, threads, product: graph }: ExactData) => {
  const chunks = await readChunks(vectors, dimensions);
  const product = await ModelSession.open(graph, { threads });
  const slack = slackOf(dimensions);

  async function candidatesOf({ queries_Q_E, k }: ExactTask, count: number): Promise<number[][]> {
    const queries = { data: queries_Q_E, dims: [count, dimensions] };
    const candidates = Array.from({ length: count }, (_, query) => {
      // The bound on rounding grows with the query's length, which is 1 for encoders.
      const length = Math.hypot(...queries_Q_E.subarray(query * dimensions, (query + 1) * dimensions));
      return new Candidates(k, slack * Math.max(1, length));
    });
    for (const [index, data] of chunks.entries()) {
      const rows = data.length / dimensions;
      const chunk = { data, dims: [rows, dimensions] };
      const isWide = count >= queriesAsRows;
      const { scores } = await product.run(isWide ? { a: queries, b: chunk } : { a: chunk, b: queries });
      const all = scores.data as Float32Array;
      const own = count === 1 || isWide ? undefined : new Float32Array(rows);
      for (const [query, list] of candidates.entries()) {
        // With the passages as rows, the scores of a query are a column.
        if (own !== undefined) for (let row = 0; row < rows; row++) own[row] = all[row * count + query];
        list.add(own ?? all.subarray(query * rows, (query + 1) * rows), index * rowsPerChunk);
      }
    }
    return candidates.map((list) => list.take());
  }

  function vectorOf(row: number): Float32Array {
    const start = (row % rowsPerChunk) * dimensions;
    return chunks[Math.floor(row / rowsPerChunk)].subarray(start, start + dimensions);
  }

  return {
    async run(task: ExactTask): Promise<ExactAnswer> {
      const count = task.queries_Q_E.length / dimensions;
      const lists = (await candidatesOf(task, count)).map((rows, index) => {
        const query = task.queries_Q_E.subarray(index * dimensions, (index + 1) * dimensions);
        return rows
          .map((row) => ({ row, score: innerProduct(query, vectorOf(row)) }))
          .sort((a, b) => b.score - a.score || a.row - b.row)
          .slice(0, task.k);
      });
      const found = lists.flat();
      return {
        counts: Uint32Array.from(lists, (list) => list.length),
        rows: Uint32Array.from(found, ({ row }) => row),
        scores: Float64Array.from(found, ({ score }) => score),
      };
    },
  };
});

/** @throws UserError when the file is not what was written */
async function readChunks(vectors: VectorFile, dimensions: number): Promise<Float32Array[]> {
  const { file, bytes, sha256, remedy } = vectors;
  const damaged = (why: string): UserError => new UserError(`The dense index is damaged: ${file}: ${why}. ${remedy}`);
  const handle = await open(file, "r").catch((error: Error) => {
    throw damaged(`it cannot be read (${error.message})`);
  });
  try {
    const { size } = await handle.stat();
    if (size !== bytes) throw damaged(`it has ${size} bytes where ${bytes} were written`);
    const hash = createHash("sha256");
    const chunks: Float32Array[] = [];
    for (let start = 0; start < bytes;) {
      const chunk = new Float32Array(Math.min(rowsPerChunk * dimensions, (bytes - start) / 4));
      const target = new Uint8Array(chunk.buffer);
      await readInto(handle, target, start, () => damaged("it ends early"));
      hash.update(target);
      chunks.push(chunk);
      start += target.length;
    }
    if (hash.digest("hex") !== sha256) throw damaged("its content has changed");
    return chunks;
  } finally {
    await handle.close();
  }
}
