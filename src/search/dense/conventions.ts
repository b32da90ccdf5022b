/** @file What encoders were trained to read before a text, and how they are pooled, by the names of their families. */
import path from "node:path";
import type { Pooling } from "./text-model/model-folder.js";

export interface Prefixes {
  query: string;
  passage: string;
}

const none: Prefixes = { query: "", passage: "" };

/**
 * Prefixes by the model's name. E5 (arXiv:2212.03533) tells queries and passages apart; bge instructs for queries only, bge-m3 not at all.
 * Departures from Search-R1, whose index builder and server disagree about E5's passages: both sides ask this one function; "e5" counts
 * as a word of the name only, not inside a hash or another word; the "instruct" models have their own form.
 */
export function prefixesOf(name: string): Prefixes {
  const words = name.toLowerCase().split(/[^a-z0-9]+/);
  if (words.includes("e5")) {
    if (!words.includes("instruct")) return { query: "query: ", passage: "passage: " };
    const task = "Given a web search query, retrieve relevant passages that answer the query";
    return { query: `Instruct: ${task}\nQuery: `, passage: "" };
  }
  if (!words.includes("bge") || words.includes("m3")) return none;
  if (words.includes("zh")) return { query: "为这个句子生成表示以用于检索相关文章：", passage: "" };
  return { query: "Represent this sentence for searching relevant passages: ", passage: "" };
}

/** For models whose files do not say. */
export function poolingOf(name: string): Pooling {
  return name
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .includes("bge")
    ? "cls"
    : "mean";
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
