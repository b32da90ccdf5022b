/** @file The options of `sleuth index`. */
import type { IndexedEngine } from "../../search/locate-index.js";

export interface IndexOptions {
  paths: string[];
  out: string;
  /** Default: bm25 for a new index; for one that is there, whatever is there. */
  engine?: IndexedEngine[];
  k1?: number;
  b?: number;
  stemmer: "porter" | "none";
  /** False with --no-stop-words: no word is dropped. */
  stopWords: boolean;
  encoder?: string;
  encoderModel?: string;
  vectors?: string;
  dimensions?: number;
  chunk: number;
  overlap: number;
  include?: string[];
  exclude?: string[];
  strict?: boolean;
  preview?: number;
  /** False with --no-resume. */
  resume: boolean;
  add?: boolean;
  replace?: boolean;
  delete?: string[];
  merge?: boolean;
}
