/** @file The recipes by the names that `sleuth train --preset` takes. */
import type { ConfigInput } from "../train/config/config.js";
import { documents } from "./documents.js";
import { realQuestions } from "./real-questions.js";
import { atlasDemo, searchR1Grpo, searchR1Ppo, searchR1PpoFormat } from "./search-r1/recipe.js";
import { smollm2 } from "./search-r1/smollm2.js";

interface Preset {
  config: ConfigInput;
  /** One line for help pages. */
  help: string;
}

export const presets = {
  atlas: { config: atlasDemo, help: "the demo: the shipped model learns to search the built-in world" },
  smollm2: { config: smollm2, help: "SmolLM2-135M-Instruct on two cores, after the warm-up of sleuth sft" },
  documents: {
    config: documents,
    help: "SmolLM2-135M-Instruct on two cores over documents of your own: for collect, sft, train and eval alike",
  },
  "real-questions": {
    config: realQuestions,
    help: "SmolLM2-135M-Instruct on two cores, on questions that people asked: for collect, sft, train and eval alike",
  },
  "search-r1-ppo": {
    config: searchR1Ppo,
    help: "Search-R1's PPO script v0.2; give it a model, questions and passages",
  },
  "search-r1-grpo": { config: searchR1Grpo, help: "Search-R1's GRPO script v0.2" },
  "search-r1-ppo-format": { config: searchR1PpoFormat, help: "the follow-up's PPO with a format reward, script v0.3" },
} as const satisfies Readonly<Record<string, Preset>>;

export type PresetName = keyof typeof presets;
