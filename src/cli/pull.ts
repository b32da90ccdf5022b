/** @file `sleuth pull`: a model of the Hub, into the cache that all Hugging Face tools share. */
import { baseProblem } from "../engine/io/adapter-base.js";
import { isAdapterFolder, readAdapterConfig } from "../engine/io/adapter-folder.js";
import { pullModel } from "../engine/io/hub/pull.js";
import { UserError } from "../errors.js";
import type { PulledFile, PullOptions, PullResult } from "../hub/fetch.js";
import { isHubName } from "../hub/name.js";
import { withDownloads } from "./fetch-model.js";
import { bytes, duration, table } from "./terminal/format.js";
import type { Terminal } from "./terminal/terminal.js";
import type { Verb } from "./verb.js";

interface Options {
  verify?: boolean;
}

export const pullVerb: Verb = {
  name: "pull",
  summary: "fetch a model from the Hugging Face Hub",
  description:
    "Fetches what Sleuth needs of a model on the Hugging Face Hub: configuration, tokenizer and safetensors, one GGUF file, or a LoRA adapter with its base. It goes into the cache that Python's tools use, too (HF_HOME, HF_HUB_CACHE); what is there is not fetched again, and what was broken off goes on where it stopped. Every file is checked against its checksum. HF_TOKEN opens private and gated models, HF_ENDPOINT names another server, HF_HUB_OFFLINE=1 keeps to the cache. train, sft, eval, ask and export take hf:ORG/NAME as a model and fetch it themselves.",
  examples: [
    ["sleuth pull HuggingFaceTB/SmolLM2-135M-Instruct", "a model as safetensors"],
    ["sleuth pull Qwen/Qwen2.5-0.5B@main", "of a branch, a tag or a commit"],
    ["sleuth pull ORG/NAME/model.Q8_0.gguf", "one GGUF file; without a file, those that are there are listed"],
    ["sleuth train --model hf:HuggingFaceTB/SmolLM2-135M-Instruct --questions q.jsonl --index index", "training it"],
    ["sleuth pull ORG/NAME --verify", "also reads what is cached, and replaces what is damaged"],
  ],
  configure: (command) =>
    command
      .argument("<model>", "ORG/NAME, ORG/NAME@REVISION or ORG/NAME/FILE.gguf")
      .option("--verify", "compare cached files with their checksums, too"),
  async run(terminal, given, [model]) {
    const { verify } = given as Options;
    const started = performance.now();
    const results = await withDownloads(terminal, (options) =>
      pullWithBase(model as string, { ...options, verify }, terminal),
    );
    const seconds = (performance.now() - started) / 1000;
    for (const result of results) printPulled(terminal, result);
    const [{ name, ...pulled }, base] = results;
    const downloaded = results.reduce((sum, { downloadedBytes }) => sum + downloadedBytes, 0);
    terminal.print(
      `${downloaded === 0 ? "Everything was in the cache" : `Fetched ${bytes(downloaded)} in ${duration(seconds * 1000)}`} → ${pulled.folder}`,
    );
    terminal.print(terminal.colors.dim(`Use it: sleuth train --model ${name.slice(0, name.lastIndexOf("@"))} …`));
    return { model: name, ...pulled, seconds, ...(base === undefined ? {} : { base }) };
  },
};

/** An adapter is of no use without its base. */
async function pullWithBase(
  model: string,
  options: PullOptions & { verify?: boolean },
  terminal: Terminal,
): Promise<PullResult[]> {
  const pulled = await pullModel(model, options);
  if (!isAdapterFolder(pulled.folder)) return [pulled];
  const base = await baseOf(pulled.folder, terminal);
  if (base === undefined) return [pulled];
  try {
    return [pulled, await pullModel(base, options)];
  } catch (error) {
    throw baseProblem(`hf:${pulled.repository}`, base, error);
  }
}

async function baseOf(folder: string, terminal: Terminal): Promise<string | undefined> {
  try {
    const { base } = await readAdapterConfig(folder);
    if (base !== undefined && isHubName(base)) return base;
    terminal.note(
      base === undefined
        ? "The adapter does not say which model it adapts. Name it where the two are merged: sleuth export … --base MODEL"
        : `The adapter's base is ${base}, which is not on the Hub.`,
    );
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    terminal.note(error.message);
  }
  return undefined;
}

function printPulled(terminal: Terminal, { repository, commit, files }: PullResult): void {
  const { bold, dim } = terminal.colors;
  terminal.print(`${bold(repository)} ${dim(`commit ${commit.slice(0, 12)}`)}`);
  const rows = files.map((file) => [file.path, bytes(file.bytes), origin(file)]);
  for (const line of table([["file", "size", "from"], ...rows])) terminal.print(`  ${line}`);
}

function origin({ bytes: size, downloadedBytes }: PulledFile): string {
  if (downloadedBytes === 0 && size > 0) return "cache";
  return downloadedBytes < size ? `Hub, ${bytes(downloadedBytes)} of it now` : "Hub";
}
