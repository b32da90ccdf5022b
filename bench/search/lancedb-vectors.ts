/**
 * @file The vectors that approximate search is measured on: clusters of unit vectors, made block by block, so that a million of them never
 * lie in memory. Axes: N vectors, E dimensions, R directions of a cluster, Q queries.
 */
import { Random } from "../../src/random.js";
import { Graph } from "../../src/engine/graph/graph.js";
import { lower } from "../../src/engine/onnx/lower.js";
import { Session } from "../../src/engine/runtime/session.js";
import { runtime } from "../smollm2.js";

export const dimensions = 384;
export const blockSize = 10_000;
const clusters = 2_000;
const rank = 48;
/** Clusters share these sets of directions: 2,000 of their own would take 147 MB. */
const directionSets = 16;
/** Length of the noise inside a cluster, of the cluster's centre and of what tells a query from its passage. */
const length = { centre: 1, noise: 0.7, query: 0.3 };
const seed = 4242;

/** Makes the same vectors for the same numbers, in any order. */
export class ClusteredVectors {
  readonly #centres: Float32Array;
  readonly #directions: Float32Array;

  constructor() {
    const scaled = (count: number, norm: number, name: string): Float32Array => {
      const random = new Random(seed, name);
      return Float32Array.from({ length: count * dimensions }, () => (random.normal() * norm) / Math.sqrt(dimensions));
    };
    this.#centres = scaled(clusters, length.centre, "centres");
    this.#directions = scaled(directionSets * rank, length.noise / Math.sqrt(rank), "directions");
  }

  /** Vectors from `first` on: [count × dimensions]. */
  block(first: number, count: number): Float32Array {
    const vectors_N_E = new Float32Array(count * dimensions);
    for (let row = 0; row < count; row++)
      this.#write(first + row, vectors_N_E.subarray(row * dimensions, (row + 1) * dimensions));
    return vectors_N_E;
  }

  /** Queries near passages that lie evenly among `total`: [count × dimensions]. */
  queries(count: number, total: number): Float32Array {
    const queries_Q_E = new Float32Array(count * dimensions);
    const random = new Random(seed, "queries");
    for (let query = 0; query < count; query++) {
      const vector = queries_Q_E.subarray(query * dimensions, (query + 1) * dimensions);
      this.#write(Math.floor((query * total) / count), vector);
      for (let place = 0; place < dimensions; place++)
        vector[place] += (random.normal() * length.query) / Math.sqrt(dimensions);
      normalise(vector);
    }
    return queries_Q_E;
  }

  #write(number: number, vector_E: Float32Array): void {
    const random = new Random(seed, number);
    const cluster = random.integer(clusters);
    vector_E.set(this.#centres.subarray(cluster * dimensions, (cluster + 1) * dimensions));
    const set = (cluster % directionSets) * rank;
    for (let direction = set; direction < set + rank; direction++) {
      const weight = random.normal();
      const from = direction * dimensions;
      for (let place = 0; place < dimensions; place++) vector_E[place] += weight * this.#directions[from + place];
    }
    normalise(vector_E);
  }
}

/** The numbers of the `k` vectors of largest inner product for each query, by comparing every query with every vector. */
export async function exactNearest(
  vectors: ClusteredVectors,
  total: number,
  queries_Q_E: Float32Array,
  k: number,
): Promise<number[][]> {
  const queries = queries_Q_E.length / dimensions;
  const g = new Graph();
  g.output("scores", g.matmul(g.input("queries", [queries, dimensions]), g.input("vectors", [dimensions, blockSize])));
  const session = await Session.create(lower(g), runtime, () => {});
  const best = Array.from({ length: queries }, (): { score: number; number: number }[] => []);
  const transposed = new Float32Array(blockSize * dimensions);
  for (let first = 0; first < total; first += blockSize) {
    const block = vectors.block(first, blockSize);
    for (let row = 0; row < blockSize; row++)
      for (let place = 0; place < dimensions; place++)
        transposed[place * blockSize + row] = block[row * dimensions + place];
    const { scores } = await session.run({
      queries: { data: queries_Q_E, dims: [queries, dimensions] },
      vectors: { data: transposed, dims: [dimensions, blockSize] },
    });
    for (let query = 0; query < queries; query++) {
      const list = best[query];
      const valid = Math.min(blockSize, total - first);
      for (let row = 0; row < valid; row++) {
        const score = scores[query * blockSize + row];
        if (list.length === k && score <= list[k - 1].score) continue;
        const place = list.findIndex((other) => other.score < score);
        list.splice(place < 0 ? list.length : place, 0, { score, number: first + row });
        if (list.length > k) list.pop();
      }
    }
  }
  await session.release();
  return best.map((list) => list.map(({ number }) => number));
}

function normalise(vector_E: Float32Array): void {
  let sum = 0;
  for (const value of vector_E) sum += value * value;
  const scale = 1 / Math.sqrt(sum);
  for (let place = 0; place < vector_E.length; place++) vector_E[place] *= scale;
}
