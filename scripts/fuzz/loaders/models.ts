/** @file Models and encoders: folders of Hugging Face, GGUF files, adapters. */
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { loadAdapterFolder } from "../../../src/engine/io/adapter-folder.js";
import { wantedOfModel } from "../../../src/engine/io/hub/wanted.js";
import { loadModelConfig, openModel } from "../../../src/engine/io/open-model.js";
import { SafetensorsFile, writeSafetensors } from "../../../src/engine/io/safetensors.js";
import { loadTokenizer } from "../../../src/engine/io/tokenizer.js";
import { loadOptimizer } from "../../../src/engine/optim/adamw.js";
import { createParameterStore, parameterShapes } from "../../../src/engine/model/parameters.js";
import { RepositoryCache } from "../../../src/hub/cache.js";
import { OnnxEncoder } from "../../../src/search/dense/onnx-encoder.js";
import { writeTinyBert } from "../../../src/search/dense/tiny-models.test-support.js";
import { readModelFolder } from "../../../src/search/text-model/model-folder.js";
import type { ModelSource } from "../../../src/engine/io/tensor-set.js";
import type { Loader } from "../loader.js";
import { compatibility, copy, golden } from "./given.js";

const model = path.join(compatibility, "model");
const tokenizerJson = "tokenizer.json";

/** Every number of a model, and its tokenizer. */
async function readAll(source: ModelSource): Promise<void> {
  try {
    for (const { name } of parameterShapes(source.config)) await source.read(name);
  } finally {
    await source.close();
  }
}

async function useTokenizer(folder: string): Promise<void> {
  const tokenizer = await loadTokenizer(folder);
  tokenizer.decode(tokenizer.encode("Which currency is used in Peru? <search> 12"));
  tokenizer.chatTemplate?.render([{ role: "user", content: "Who?" }], { addGenerationPrompt: true });
}

/** The model's weights in two files with an index. */
async function writeShards(folder: string): Promise<void> {
  const file = await SafetensorsFile.open(path.join(model, "model.safetensors"));
  const tensors = await Promise.all(
    [...file.tensors].map(async ([name, { shape }]) => ({ name, shape, data: await file.read(name) })),
  );
  await file.close();
  const weightMap: Record<string, string> = {};
  for (const [index, part] of [tensors.slice(0, 5), tensors.slice(5)].entries()) {
    const name = `model-0000${index + 1}-of-00002.safetensors`;
    await writeSafetensors(path.join(folder, name), part);
    for (const tensor of part) weightMap[tensor.name] = name;
  }
  await writeFile(path.join(folder, "model.safetensors.index.json"), JSON.stringify({ weight_map: weightMap }));
}

const template =
  "{% for message in messages %}<|{{ message.role }}|>{{ message.content | trim }}\n{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}";

export const modelLoaders: readonly Loader[] = [
  {
    name: "safetensors",
    make: (folder) => copy(model, folder),
    damages: (file) => file === "model.safetensors",
    load: async (folder) => readAll(await openModel(folder)),
  },
  {
    name: "sharded-index",
    make: async (folder) => {
      await copy(model, folder, ["config.json", tokenizerJson, "tokenizer_config.json"]);
      await writeShards(folder);
    },
    damages: (file) => file.startsWith("model"),
    load: async (folder) => readAll(await openModel(folder)),
  },
  {
    name: "config.json",
    make: (folder) => copy(golden, folder, ["llama-scaled/config.json", "qwen3/config.json"]),
    load: async (folder) => {
      for (const family of ["llama-scaled", "qwen3"]) await loadModelConfig(path.join(folder, family));
    },
  },
  {
    name: "tokenizer",
    make: (folder) => copy(model, folder, ["config.json", tokenizerJson, "tokenizer_config.json"]),
    damages: (file) => file !== "config.json",
    load: useTokenizer,
  },
  {
    name: "generation-config",
    make: async (folder) => {
      await copy(model, folder);
      await writeFile(
        path.join(folder, "generation_config.json"),
        '{"eos_token_id":[0],"bos_token_id":1,"pad_token_id":0}',
      );
      await writeFile(path.join(folder, "special_tokens_map.json"), '{"additional_special_tokens":[]}');
    },
    damages: (file) => file === "generation_config.json" || file === "special_tokens_map.json",
    load: async (folder) => {
      await useTokenizer(folder);
      await (await openModel(folder)).close();
    },
  },
  {
    name: "chat-template",
    make: async (folder) => {
      await copy(model, folder, ["config.json", tokenizerJson, "tokenizer_config.json"]);
      await writeFile(path.join(folder, "chat_template.jinja"), template);
    },
    damages: (file) => file === "chat_template.jinja",
    // What a template says of itself may name no file.
    isNameless: true,
    load: useTokenizer,
  },
  {
    name: "gguf",
    make: (folder) => copy(path.join(golden, "llama-scaled"), folder, ["model.gguf"]),
    load: async (folder) => readAll(await openModel(path.join(folder, "model.gguf"))),
  },
  {
    name: "adapter",
    make: (folder) =>
      copy(path.join(compatibility, "run", "best"), folder, ["adapter_config.json", "adapter_model.safetensors"]),
    load: async (folder) => loadAdapterFolder(folder, await loadModelConfig(model)),
  },
  {
    name: "optimizer",
    make: (folder) =>
      copy(path.join(compatibility, "run/checkpoints/step-000002/policy"), folder, ["optimizer.safetensors"]),
    load: async (folder) => {
      const file = await SafetensorsFile.open(path.join(folder, "optimizer.safetensors"));
      const shapes = [...file.tensors].flatMap(([name, { shape }]) =>
        name.startsWith("first.") || name.startsWith("m.") ? [{ name: name.slice(name.indexOf(".") + 1), shape }] : [],
      );
      await file.close();
      await loadOptimizer(folder, createParameterStore(shapes));
    },
  },
  {
    name: "hub-cache",
    make: async (folder) => {
      const cache = path.join(folder, "models--org--name");
      const commit = "a".repeat(40);
      const snapshot = path.join(cache, "snapshots", commit);
      await mkdir(path.join(cache, "refs"), { recursive: true });
      await mkdir(snapshot, { recursive: true });
      await writeFile(path.join(cache, "refs", "main"), commit);
      await copy(model, snapshot, ["config.json", tokenizerJson]);
      await writeShards(snapshot);
    },
    load: async (folder) => {
      const name = { repository: "org/name", revision: "main" };
      const cache = new RepositoryCache(folder, name);
      const commit = await cache.cachedCommit("main");
      if (commit !== undefined) await wantedOfModel(name).lacking(cache, commit);
    },
  },
  {
    name: "encoder-files",
    make: async (folder) => {
      await writeTinyBert(folder);
      await mkdir(path.join(folder, "1_Pooling"));
      await writeFile(path.join(folder, "1_Pooling/config.json"), '{"pooling_mode_mean_tokens":true}');
      await writeFile(path.join(folder, "sentence_bert_config.json"), '{"max_seq_length":32}');
      await writeFile(
        path.join(folder, "modules.json"),
        JSON.stringify(
          ["Transformer", "Pooling", "Normalize"].map((kind, idx) => ({
            ...{ idx, name: `${idx}`, path: idx === 0 ? "" : `${idx}_${kind}` },
            type: `sentence_transformers.models.${kind}`,
          })),
        ),
      );
      await writeFile(
        path.join(folder, "config_sentence_transformers.json"),
        '{"prompts":{"query":"query: ","document":"passage: "},"default_prompt_name":null}',
      );
    },
    damages: (file) => file !== tokenizerJson && file !== "model.safetensors",
    load: (folder) => readModelFolder(folder, ""),
  },
  {
    name: "encoder",
    make: async (folder) => void (await writeTinyBert(folder)),
    load: async (folder) => {
      const encoder = await OnnxEncoder.open({ location: folder }, { threads: 1 });
      try {
        await encoder.encode(["lima", "the capital of Peru"], "query");
      } finally {
        await encoder.close();
      }
    },
  },
];
