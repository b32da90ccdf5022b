/** @file The language model that writes questions, from the options of the command line, and the agreement to what it may cost. */
import { createInterface } from "node:readline/promises";
import { InvalidArgumentError, type Command } from "commander";
import { UserError } from "../errors.js";
import { localWriter } from "../synthesis/questions/writer/local-writer.js";
import { costOf, type Estimate, type Price } from "../synthesis/questions/writer/plan.js";
import { serverWriter, writerKeyVariable } from "../synthesis/questions/writer/server-writer.js";
import type { Writer } from "../synthesis/questions/writer/writer.js";
import { parseConfig } from "../train/config/config.js";
import { openPolicy } from "../train/open-policy.js";
import { fetchModel } from "./fetch-model.js";
import { integer } from "./run-options.js";
import { count, plural } from "./terminal/format.js";
import { noteMemory } from "./terminal/memory-note.js";
import type { Terminal } from "./terminal/terminal.js";
import { dollars } from "./usage-line.js";

export interface WriterOptions {
  model?: string;
  modelUrl?: string;
  modelBody?: Record<string, unknown>;
  requests?: number;
  twoHops: number;
  closedBook: boolean;
  price?: Price;
  yes?: boolean;
  atOnce: number;
  perMinute: number;
  questionSeed: number;
}

/** Adds --model, --model-url and what belongs to them. */
export function addWriterOptions(command: Command): void {
  command
    .option(
      "--model <model>",
      "let a language model write: a folder, a .gguf file or hf:ORG/NAME; with --model-url, its name there",
    )
    .option("--model-url <url>", `a server of /v1/chat/completions; its key is read from ${writerKeyVariable}`)
    .option("--model-body <json>", "further fields of each request to the server; null leaves one out", jsonObject)
    .option("--requests <number>", "most requests for questions (default: twice --count)", integer(1))
    .option(
      "--two-hops <share>",
      "share of the requests that ask about two passages with a name in common",
      share,
      0.25,
    )
    .option("--no-closed-book", "keep questions that the model answers without search, too")
    .option("--price <prompt,reply>", "dollars per million tokens: says beforehand what it may cost, and asks", price)
    .option("--yes", "agree to the price beforehand")
    .option("--at-once <number>", "requests at once", integer(1), 8)
    .option("--per-minute <number>", "most requests a minute to the server; 0: no limit", integer(0), 0);
}

/**
 * Undefined where no language model is named.
 * @throws UserError where the model cannot be opened, or a server is named without a model
 */
export async function openWriter(terminal: Terminal, options: WriterOptions): Promise<Writer | undefined> {
  const { model, modelUrl: url, modelBody: body, atOnce: concurrency, perMinute, questionSeed: seed } = options;
  if (url !== undefined) {
    if (model === undefined)
      throw new UserError("--model-url needs --model: the model's name, as the server calls it.");
    return serverWriter({ url, model, body, key: process.env[writerKeyVariable]?.trim(), concurrency, perMinute });
  }
  if (model === undefined) return undefined;
  const config = await fetchModel(
    terminal,
    parseConfig({ model: { folder: model }, rollout: { maxConcurrent: concurrency } }),
  );
  const { value: policy, close } = await openPolicy(config, {}, "sampling", {
    onNotice: (notice) => terminal.notice(notice),
  });
  if (policy.memory) noteMemory(terminal, policy.memory);
  return localWriter(policy, { name: config.model.folder, concurrency, seed, close });
}

/**
 * Says what the requests may come to; where they have a price, asks whether to go on.
 * @throws UserError where nobody agrees
 */
export async function agreeToPrice(
  terminal: Terminal,
  estimate: Estimate,
  { price: each, yes }: WriterOptions,
): Promise<void> {
  const { requests, promptTokens, completionTokens } = estimate;
  const tokens = `At most ${plural(requests, "request")} of about ${count(promptTokens)} tokens in, ${count(completionTokens)} out`;
  if (each === undefined) return terminal.note(`${tokens}. What is on file is not asked again.`);
  terminal.note(`${tokens}: about ${dollars(costOf(estimate, each))}. What is on file is not paid again.`);
  if (yes) return;
  if (process.stdin.isTTY !== true || terminal.json)
    throw new UserError(
      "Nobody can be asked whether that is agreed to: this is no terminal. Agree with --yes, or ask for less with --requests.",
    );
  const asking = createInterface({ input: process.stdin, output: process.stderr });
  try {
    if (/^y(es)?$/i.test((await asking.question("Go on? [y/N] ")).trim())) return;
  } finally {
    asking.close();
  }
  throw new UserError("Nothing was asked. Ask for less with --requests or --count.");
}

function price(text: string): Price {
  const [prompt, completion, ...more] = text.split(",").map((part) => (part.trim() === "" ? Number.NaN : Number(part)));
  if (more.length > 0 || !(prompt >= 0) || !(completion >= 0) || !Number.isFinite(prompt + completion))
    throw new InvalidArgumentError("Expected two prices, for example 0.15,0.6.");
  return { prompt, completion };
}

function share(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !(value >= 0 && value <= 1))
    throw new InvalidArgumentError("Expected a number from 0 to 1.");
  return value;
}

function jsonObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // Said below.
  }
  throw new InvalidArgumentError('Expected a JSON object, for example {"temperature":1}.');
}
