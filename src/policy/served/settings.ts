/** @file The settings of a policy behind a server in a run configuration: the group `server`. */
import { z } from "zod";

const count = z.int().positive();
const countOrZero = z.int().nonnegative();
const price = z.number().nonnegative().default(0);
const text = (help: string) => z.string().default("").describe(help);

export const serverFields = {
  url: text(
    "an OpenAI-compatible server, as http://127.0.0.1:8000/v1: its model is asked instead of model.folder; empty: none",
  ),
  model: text("the model, as its server calls it; empty: the only one that the server lists"),
  api: z
    .enum(["auto", "completions", "chat"])
    .default("auto")
    .describe(
      "completions: prompts are laid out here, as in training; chat: the server applies its template; auto: completions where server.tokenizer is named, else chat",
    ),
  tokenizer: text(
    "the served model's own: a folder, a .gguf file or hf:ORG/NAME, of which no weights are fetched; empty: tokens are only counted, by model.folder where it is named, else four bytes are one",
  ),
  contextLength: z
    .union([z.literal("auto"), count])
    .default("auto")
    .describe("most tokens of prompt and reply; auto: what the server says, else what the tokenizer's model can read"),
  concurrency: count.default(64).describe("requests at once"),
  perMinute: countOrZero.default(0).describe("requests a minute, retries included; 0: no limit"),
  timeoutMs: count.default(600_000).describe("longest wait for one request"),
  retries: countOrZero.default(3).describe("further tries of a request that failed for now"),
  inputPrice: price.describe("US dollars for a million tokens of prompts; 0: not known"),
  outputPrice: price.describe("US dollars for a million tokens of replies; 0: not known"),
};

export type ServerSettings = z.output<z.ZodObject<typeof serverFields>>;

export const serverDefaults: ServerSettings = z.object(serverFields).parse({});
