/** @file A folder with an encoder or a cross-encoder, from disk or from the Hub: which of its files are used, and what they say about the model. */
import { createHash } from "node:crypto";
import { open, readdir, stat } from "node:fs/promises";
import path from "node:path";
import type { PullOptions } from "../../hub/fetch.js";
import { isHubName } from "../../hub/name.js";
import { readOptionalJson, type Json } from "../../files/json-file.js";
import { indexFile, weightsFile } from "../../engine/io/safetensors-set.js";
import { tokenizerFile } from "../../engine/io/tokenizer-files.js";
import { UserError } from "../../errors.js";
import { readTextLimits, transformerFolder } from "./sentence-folder.js";

export interface ModelFolder {
  /** The folder that was named: `modules.json` and the prompts lie there. */
  root: string;
  /** The transformer's: weights, tokenizer and config.json. The same as `root`, but in old folders of sentence-transformers. */
  folder: string;
  /** The ONNX file; undefined where the graph is made from `model.safetensors`. */
  onnx: string | undefined;
  config: Json;
  /** Most tokens of a text, those that the tokenizer adds included. */
  maxTokens: number;
  /** Most tokens that the model has positions for; undefined where its files do not say. */
  positions: number | undefined;
  /** Whether texts become lower case before they are tokenized. */
  isLowerCase: boolean;
  padId: number;
  /** Twelve hexadecimal digits over weights and tokenizer: the same model elsewhere has the same ones. */
  fingerprint: string;
}

/** Without anything said, not even how many positions there are, encoders are taken to have been trained on texts of this many tokens. */
const usualMaxTokens = 512;

/**
 * @param location a Hugging Face folder, an ONNX file in it, or `hf:ORG/NAME`
 * @param variant of a folder with several ONNX files: "fp16", "quantized", "int8", "q4"; "" is the one without an ending
 * @param hub how a model of the Hub is fetched
 * @throws UserError naming what is missing; when a model of the Hub cannot be had
 */
export async function readModelFolder(location: string, variant: string, hub?: PullOptions): Promise<ModelFolder> {
  const place = isHubName(location)
    ? await (await import("../../engine/io/hub/pull.js")).resolveEncoder(location, variant, hub)
    : location;
  const { root, folder, onnx } = await findFiles(place, variant);
  const config = (await readOptionalJson(path.join(folder, "config.json"))) ?? {};
  const tokenizer = path.join(folder, tokenizerFile);
  if (!(await isFile(tokenizer)))
    throw new UserError(
      `${folder} has no ${tokenizerFile}, and without it no text can be read as the model reads it. Copy it from the model's source.`,
    );
  const weights = onnx === undefined ? await weightsIn(folder) : await withExternalData(onnx);
  const { maxTokens, isLowerCase } = await readTextLimits(folder);
  const positions = positionsOf(config);
  return {
    root,
    folder,
    onnx,
    config,
    maxTokens: Math.min(maxTokens ?? positions ?? usualMaxTokens, positions ?? Infinity),
    positions,
    isLowerCase,
    padId: typeof config.pad_token_id === "number" ? config.pad_token_id : 0,
    fingerprint: await fingerprintOf([...weights, tokenizer]),
  };
}

async function findFiles(location: string, variant: string): Promise<Pick<ModelFolder, "root" | "folder" | "onnx">> {
  const stats = await stat(location).catch(() => undefined);
  if (stats === undefined) throw new UserError(`There is no model folder ${location}. Check the path.`);
  if (stats.isFile()) {
    if (!location.endsWith(".onnx"))
      throw new UserError(`${location} is no .onnx file. Name a model's folder, or an ONNX file in it.`);
    const around = path.dirname(path.dirname(path.resolve(location)));
    const isInside =
      path.basename(path.dirname(location)) === "onnx" && (await isFile(path.join(around, tokenizerFile)));
    const root = isInside ? around : path.dirname(location);
    return { root, folder: await transformerFolder(root), onnx: location };
  }
  const folder = await transformerFolder(location);
  const name = variant === "" ? "model.onnx" : `model_${variant}.onnx`;
  for (const place of [folder, location].flatMap((where) => [path.join(where, "onnx", name), path.join(where, name)]))
    if (await isFile(place)) return { root: location, folder, onnx: place };
  const hasWeights = (await isFile(path.join(folder, weightsFile))) || (await isFile(path.join(folder, indexFile)));
  if (variant === "" && hasWeights) return { root: location, folder, onnx: undefined };
  const others = await onnxFiles(location);
  throw new UserError(
    `${location} has no onnx/${name}${variant === "" ? ` and no ${weightsFile}` : ""}; ` +
      (others.length > 0
        ? `it has ${others.join(", ")}: name one of them as PATH.onnx or by its variant.`
        : "export it, for example with `optimum-cli export onnx --model NAME FOLDER`."),
  );
}

async function onnxFiles(folder: string): Promise<string[]> {
  const inside = await readdir(path.join(folder, "onnx")).catch(() => []);
  const beside = await readdir(folder).catch(() => []);
  return [...inside.map((name) => `onnx/${name}`), ...beside].filter((name) => name.endsWith(".onnx")).slice(0, 8);
}

function positionsOf({ max_position_embeddings: positions, model_type }: Json): number | undefined {
  // RoBERTa counts positions from 2.
  const reserved = typeof model_type === "string" && model_type.includes("roberta") ? 2 : 0;
  return typeof positions === "number" && positions > reserved ? positions - reserved : undefined;
}

async function weightsIn(folder: string): Promise<string[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith(".safetensors")).sort();
  return names.map((name) => path.join(folder, name));
}

/** Large exports keep their weights beside the graph, in files that begin with its name. */
async function withExternalData(onnx: string): Promise<string[]> {
  const name = path.basename(onnx);
  const folder = path.dirname(onnx);
  const names = (await readdir(folder)).filter(
    (other) => other === name || other.startsWith(`${name}_`) || other === `${name}.data`,
  );
  return names.sort().map((other) => path.join(folder, other));
}

const sampleBytes = 1 << 16;
const samples = 64;

/** Twelve hexadecimal digits over size and pieces spread over each file: other weights differ in all of them, and gigabytes are known in milliseconds. */
export async function fingerprintOf(files: readonly string[]): Promise<string> {
  const hash = createHash("sha256");
  for (const file of files) {
    const handle = await open(file, "r");
    try {
      const { size } = await handle.stat();
      hash.update(`${size} `);
      const step = Math.max(sampleBytes, Math.floor((size - sampleBytes) / (samples - 1)));
      const piece = Buffer.alloc(sampleBytes);
      for (let start = 0; start < size; start += step) {
        const { bytesRead } = await handle.read(piece, 0, sampleBytes, start);
        hash.update(piece.subarray(0, bytesRead));
      }
    } finally {
      await handle.close();
    }
  }
  return hash.digest("hex").slice(0, 12);
}

async function isFile(place: string): Promise<boolean> {
  return stat(place).then(
    (stats) => stats.isFile(),
    () => false,
  );
}
