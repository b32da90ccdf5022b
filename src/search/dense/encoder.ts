/**
 * @file The contract of encoders, which turn texts into vectors (a model in a worker, or an `/v1/embeddings` endpoint), and what the known
 * families of models were trained to read.
 */
import path from "node:path";
import { z } from "zod";
import { Refused } from "../../http/chunks.js";
import type { StoredPassage } from "../../types.js";
import { formatContents } from "../text/contents.js";
import type { SearchOptions } from "../engine.js";
import type { Pooling } from "../text-model/sentence-folder.js";

/** Encoders of the E5 kind read queries and passages differently. */
export type TextKind = "query" | "passage";

/** What opens an encoder again. It is kept with an index, so that a search need not name the encoder. It holds no keys. */
export interface EncoderSource {
  /** A folder or ONNX file, `hf:ORG/NAME`, or the address of an `/v1/embeddings` endpoint. */
  location: string;
  /** The model's name at an endpoint; elsewhere which ONNX file of several: "fp16", "quantized", "int8", "q4". Default "". */
  model?: string;
  /** Put before queries and passages. Default: as the model's files say, else as its name calls for. */
  queryPrefix?: string;
  passagePrefix?: string;
  /** Default: as the model's files say, else by its name. */
  pooling?: "mean" | "cls" | "model";
  /** Default: as the model's files say, else as many as it has positions for, else 512. */
  maxTokens?: number;
}

/** What an index or a table must say of its encoder. Fields of later versions stay. */
export const encoderSourceSchema: z.ZodType<EncoderSource> = z.looseObject({
  location: z.string(),
  model: z.string().optional(),
  queryPrefix: z.string().optional(),
  passagePrefix: z.string().optional(),
  pooling: z.enum(["mean", "cls", "model"]).optional(),
  maxTokens: z.int().positive().optional(),
});

/** Options of one call of an encoder. */
export interface EncodeOptions extends SearchOptions {
  /**
   * Told of each text that an endpoint refuses (too long for it, say); `place` is the text's among all. Without it, the first such text
   * fails the call. Encoders that take every text never call it.
   */
  onRefused?: (place: number, error: Error) => void;
}

export interface Encoder {
  /**
   * Model, pooling, prefixes and normalisation in one line. Kept with every index: vectors of different encoders do not compare, and an
   * index opened with another encoder is an error.
   */
  readonly name: string;
  /** Absent for an encoder that was made in code and cannot be opened again from a description. */
  readonly source?: EncoderSource;
  /** Numbers in a vector; 0 until the first text was encoded where an endpoint does not say. */
  readonly dimensions: number;
  /**
   * A vector of unit length for each text: row-major, [texts × dimensions]. A text's vector does not depend on the other texts. Texts that
   * `onRefused` was told of have no row.
   * @throws SearchError when the model or the endpoint fails; the signal's reason
   */
  encode(texts: readonly string[], kind: TextKind, options?: EncodeOptions): Promise<Float32Array>;
  counts?(): Readonly<Record<string, number>>;
  close(): Promise<void>;
}

/** A passage as encoders read it: Search-R1's `contents`, a quoted title and the text. Without a title, the text alone. */
export function passageText({ title, text }: Pick<StoredPassage, "title" | "text">): string {
  return title === "" ? text : formatContents({ title, text });
}

/** The vector of each text, or in its place why an endpoint refuses it. */
export async function vectorsOf(
  encoder: Encoder,
  texts: readonly string[],
  kind: TextKind,
  options: SearchOptions = {},
): Promise<(Float32Array | Refused)[]> {
  const refused = new Map<number, Refused>();
  const onRefused = (place: number, error: Error): void => void refused.set(place, new Refused(error));
  const matrix = await encoder.encode(texts, kind, { ...options, onRefused });
  const dimensions = matrix.length / (texts.length - refused.size);
  let row = 0;
  return texts.map((_, place) => refused.get(place) ?? matrix.subarray(row++ * dimensions, row * dimensions));
}

/** Vectors one after another, as a matrix of so many rows. */
export function joined(vectors: readonly Float32Array[]): Float32Array {
  const dimensions = vectors.at(0)?.length ?? 0;
  const matrix = new Float32Array(vectors.length * dimensions);
  for (const [row, vector] of vectors.entries()) matrix.set(vector, row * dimensions);
  return matrix;
}

/** What is put before texts: as the source says, else as the model's files say, else by its name. */
export function prefixesFor(
  { queryPrefix, passagePrefix }: EncoderSource,
  name: string,
  files?: Record<TextKind, string>,
): Record<TextKind, string> {
  const usual = files ?? prefixesOf(name);
  return { query: queryPrefix ?? usual.query, passage: passagePrefix ?? usual.passage };
}

/**
 * Prefixes by the model's name. E5 (arXiv:2212.03533) tells queries and passages apart; bge instructs for queries only, bge-m3 not at all.
 * Departures from Search-R1, whose index builder and server disagree about E5's passages: both sides ask this one function; "e5" counts
 * as a word of the name only, not inside a hash or another word; the "instruct" models have their own form.
 */
export function prefixesOf(name: string): Record<TextKind, string> {
  const words = wordsOf(name);
  if (words.includes("e5")) {
    if (!words.includes("instruct")) return { query: "query: ", passage: "passage: " };
    const task = "Given a web search query, retrieve relevant passages that answer the query";
    return { query: `Instruct: ${task}\nQuery: `, passage: "" };
  }
  if (!words.includes("bge") || words.includes("m3")) return { query: "", passage: "" };
  if (words.includes("zh")) return { query: "为这个句子生成表示以用于检索相关文章：", passage: "" };
  return { query: "Represent this sentence for searching relevant passages: ", passage: "" };
}

/** How the vectors of tokens become one, by the model's name: for models whose files do not say. */
export function poolingOf(name: string): Pooling {
  return wordsOf(name).includes("bge") ? "cls" : "mean";
}

function wordsOf(name: string): string[] {
  return name.toLowerCase().split(/[^a-z0-9]+/);
}

/** The name of a model by its place: of `hf:ORG/NAME` the name, of a folder its own name, of a folder in the Hub's cache the repository's. */
export function modelNameOf(location: string): string {
  const hub = /^hf:([^@]+)/.exec(location)?.[1];
  if (hub !== undefined) return hub;
  const parts = path.resolve(location).split(path.sep);
  const cached = parts.findLast((part) => part.startsWith("models--"));
  if (cached !== undefined) return cached.slice("models--".length).replace("--", "/");
  const own = parts.filter((part) => part !== "onnx" && !part.endsWith(".onnx"));
  return own[own.length - 1] ?? "";
}

const quoted = String.raw`("(?:[^"\\]|\\.)*")`;
const namePattern = new RegExp(
  String.raw`^onnx [0-9a-f]{12}, (\w+) pooling, .*?(\d+) tokens, query ${quoted}, passage ${quoted}$`,
);

/**
 * The source of an encoder in this process, with what its name says about pooling, length and prefixes. Indexes of earlier versions keep these in the name alone; their
 * queries are encoded as their passages were, whatever the model's files say.
 */
export function asNamed<Source extends Partial<EncoderSource>>(source: Source, name: string | undefined): Source {
  const parts = namePattern.exec(name ?? "");
  if (parts === null) return source;
  const [queryPrefix, passagePrefix] = parts.slice(3).map((text) => JSON.parse(text) as string);
  return { pooling: parts[1] as Pooling, maxTokens: Number(parts[2]), queryPrefix, passagePrefix, ...source };
}
