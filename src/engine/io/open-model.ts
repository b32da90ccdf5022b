/** @file Opens a pretrained model. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { parameter } from "../model/parameters.js";
import { loadModelFolder } from "./model-folder.js";
import type { ModelSource } from "./model-source.js";

/** Opens a Hugging Face folder. */
export async function openModel(location: string): Promise<ModelSource> {
  const { config, parameters } = await loadModelFolder(location);
  const tokenizer = JSON.parse(await readFile(path.join(location, "tokenizer.json"), "utf8")) as Record<
    string,
    unknown
  >;
  return {
    location,
    config,
    tokenizer: { tokenizer, settings: {}, generation: {} },
    read: (name, target) => {
      const values = parameter(parameters, name);
      target?.set(values);
      return Promise.resolve(target ?? values);
    },
    close: () => Promise.resolve(),
  };
}
