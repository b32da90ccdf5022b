/** @file A tiny random model folder for tests: two layers, a vocabulary of bytes, a few merges and the protocol's tags. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { saveModelFolder } from "../../engine/io/model-folder.js";
import { trainBpe } from "../../engine/io/train-bpe.js";
import type { ModelConfig } from "../../engine/model/config.js";
import { initParameters, parameter } from "../../engine/model/parameters.js";
import { tinyConfig } from "../../engine/model/tiny-config.test-support.js";
import { atlas } from "../../prompts/protocol.js";

export interface TinyModel {
  folder: string;
  remove(): Promise<void>;
}

/**
 * Makes the folder under the system's temporary directory.
 * @param options.sharpness multiplies the embeddings, and with them the logits: at 1 all tokens are nearly equally likely
 */
export async function makeTinyModel(
  seed = 1,
  overrides: Partial<ModelConfig> = {},
  { sharpness = 1 } = {},
): Promise<TinyModel> {
  const root = await mkdtemp(path.join(tmpdir(), "sleuth-tiny-"));
  const tokenizerFrom = path.join(root, "tokenizer");
  await mkdir(tokenizerFrom);
  const specialTokens = ["<pad>", "<eos>", ...atlas.think, ...atlas.search, ...atlas.information, ...atlas.answer];
  const tokenizer = trainBpe(["the capital of the country is here", " Question: Answer:"], {
    vocabSize: 290,
    specialTokens,
  });
  await writeFile(path.join(tokenizerFrom, "tokenizer.json"), JSON.stringify(tokenizer));
  const names = { eos_token: "<eos>", pad_token: "<pad>" };
  await writeFile(path.join(tokenizerFrom, "tokenizer_config.json"), JSON.stringify(names));
  const config = tinyConfig({
    hiddenSize: 32,
    intermediateSize: 48,
    headDim: 8,
    vocabSize: Object.keys(tokenizer.model.vocab).length,
    maxPositions: 96,
    eosTokenIds: [1],
    ...overrides,
  });
  const folder = path.join(root, "model");
  const parameters = initParameters(config, seed);
  const embeddings = parameter(parameters, "model.embed_tokens.weight");
  embeddings.set(embeddings.map((value) => sharpness * value));
  await saveModelFolder(folder, { config, parameters, tokenizerFrom });
  return { folder, remove: () => rm(root, { recursive: true, force: true }) };
}
