/** @file `sleuth export`: a trained model as a folder that other tools open, with a card that says how it was made. */
import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { Option } from "commander";
import {
  adapterConfigFile,
  adapterWeightsFile,
  channelRangesFile,
  loadAdapterFolder,
  saveAdapterFolder,
} from "../engine/io/adapter-folder.js";
import { saveMergedFolder } from "../engine/io/merged-folder.js";
import type { ModelSource } from "../engine/io/tensor-set.js";
import type { TokenizerFiles } from "../engine/io/tokenizer-files.js";
import { openModel } from "../engine/io/open-model.js";
import type { FloatType } from "../engine/io/safetensors.js";
import { configFile, indexFile } from "../engine/io/safetensors-set.js";
import { tokenizerFiles, writeTokenizerFiles } from "../engine/io/tokenizer-files.js";
import type { Adapter } from "../engine/model/lora.js";
import { UserError } from "../errors.js";
import { replaceFolder, writeError } from "../files/durable.js";
import { shellWord } from "../printable.js";
import { sourceCommit } from "../train/run-folder.js";
import { findExportedModel, readExportedRun, type ExportedModel } from "./exported.js";
import { withDownloads } from "./fetch-model.js";
import { withInterrupt } from "./interrupt.js";
import { modelCard } from "./model-card.js";
import { bytes, duration, plural } from "./terminal/format.js";
import { ProgressBar } from "./terminal/progress-bar.js";
import type { Terminal } from "./terminal/terminal.js";
import type { Verb, VerbAnswer } from "./verb.js";

interface Options {
  out: string;
  as: "merged" | "adapter";
  dtype: "f32" | "f16" | "bf16";
  base?: string;
  force?: boolean;
}

/** The model card, as the Hub names it. */
const cardFile = "README.md";

/** What an export consists of, besides weights. */
const besideWeights = [configFile, indexFile, adapterConfigFile, cardFile, ...tokenizerFiles];

const floatTypes: Readonly<Record<Options["dtype"], FloatType>> = { f32: "F32", f16: "F16", bf16: "BF16" };

export const exportVerb: Verb = {
  name: "export",
  summary: "write a trained model as a folder that other tools open",
  description:
    "Writes the best model of a run (or a checkpoint, an adapter, or any model) as a Hugging Face folder, with its adapter merged in, or as a PEFT adapter: weights, tokenizer, chat template, generation settings and a model card (README.md) with base, recipe, data, scores and commit. The folder is whole or it is not there.",
  examples: [
    ["sleuth export runs/harbour --out harbour", "the run's best model, merged, for transformers and others"],
    ["sleuth export runs/harbour --out harbour-lora --as adapter", "its adapter alone, for PEFT"],
    [
      "sleuth export runs/harbour/checkpoints/step-000040 --out step-40 --dtype bf16",
      "a checkpoint, in half the space",
    ],
    ["sleuth export model.gguf --out model --dtype f16", "any model that Sleuth opens, dequantised"],
    [
      "sleuth export adapter --base hf:HuggingFaceTB/SmolLM2-135M-Instruct --out merged",
      "an adapter of PEFT, on a base that you name",
    ],
  ],
  required: ["out"],
  configure: (command) =>
    command
      .argument(
        "<run-or-checkpoint>",
        "run folder, checkpoint, adapter folder, model folder, .gguf file or hf:ORG/NAME",
      )
      .option("--out <folder>", "where the model goes")
      .addOption(
        new Option("--as <form>", "merged: whole weights; adapter: the low-rank update alone, as PEFT writes it")
          .choices(["merged", "adapter"])
          .default("merged"),
      )
      .addOption(
        new Option("--dtype <type>", "type of the stored numbers; f32 loses nothing")
          .choices(["f32", "f16", "bf16"])
          .default("f32"),
      )
      .option("--base <model>", "the adapter's base, when it is elsewhere than the adapter says")
      .option("--force", "replace the model that is in --out"),
  async run(terminal, given, [location]) {
    const options = given as unknown as Options;
    const model = await withDownloads(terminal, (pulling) =>
      findExportedModel(location as string, options.base, pulling),
    );
    if (options.as === "adapter" && model.base === undefined) {
      throw new UserError(
        `${model.location} holds all weights of a model: it was not trained as an adapter, and there is none to hand back. ` +
          "Use --as merged; to train an adapter, set model.adapt=lora.",
      );
    }
    checkPlace(options, [model.location, model.base?.location, model.run]);
    const source = model.base ? await openModel(model.base.location, model.location) : await openModel(model.location);
    try {
      return await withInterrupt(terminal, "Stopping; nothing is written.", (signal) =>
        exportModel(terminal, model, source, options, signal),
      );
    } finally {
      await source.close();
    }
  },
};

async function exportModel(
  terminal: Terminal,
  model: ExportedModel,
  source: ModelSource,
  options: Options,
  signal: AbortSignal,
): Promise<VerbAnswer> {
  const { out, as, dtype } = options;
  const started = performance.now();
  const found = model.base && (await loadAdapterFolder(model.location, source.config));
  const adapter = found?.adapter;
  const run = model.run === undefined ? undefined : await readExportedRun(model.run, model.location);
  const tokenizer = tokenizerToWrite(source);
  const card = modelCard({
    title: path.basename(path.resolve(out)),
    kind: as,
    dtype,
    base: model.base?.name ?? run?.start ?? model.name,
    baseLocation: model.base?.location ?? model.location,
    lora: adapter?.lora,
    trainedOnInt8: found?.ranges !== undefined,
    hasChatTemplate: tokenizer.chatTemplate !== undefined,
    run,
    sleuth: sleuthVersion(),
  });
  let progress: ProgressBar | undefined;
  const onProgress = (done: number, total: number): void => {
    progress ??= new ProgressBar(terminal, { label: "Exporting", total, unit: "bytes" });
    progress.update(done);
  };
  await inPlace(out, async (folder) => {
    const writing = { dtype: floatTypes[dtype], onProgress, signal };
    if (as === "adapter")
      await writeAdapter(folder, { adapter: adapter as Adapter, ranges: found?.ranges }, model, source, writing.dtype);
    else await saveMergedFolder(folder, { source, adapter, ...writing });
    await writeTokenizerFiles(folder, tokenizer);
    await writeFile(path.join(folder, cardFile), card);
    signal.throwIfAborted();
  }).finally(() => progress?.stop());
  const files = readdirSync(out)
    .sort()
    .map((name) => ({ name, bytes: statSync(path.join(out, name)).size }));
  const size = files.reduce((sum, file) => sum + file.bytes, 0);
  const seconds = (performance.now() - started) / 1000;
  terminal.print(`${bytes(size)} in ${plural(files.length, "file")}, ${duration(seconds * 1000)} → ${out}`);
  if (found?.ranges !== undefined) terminal.print(precisionLine(model, as));
  terminal.print(terminal.colors.dim(`How it was made and how to load it: ${path.join(out, cardFile)}`));
  return {
    out,
    as,
    dtype,
    model: model.location,
    base: model.base?.name ?? null,
    trainedOver: adapter ? (found?.ranges ? "int8" : "float32") : null,
    run: model.run ?? null,
    files,
    seconds,
  };
}

/** What a float32 model scores beside the policy over 8-bit weights, or how to find out. */
function precisionLine({ run, location }: ExportedModel, as: Options["as"]): string {
  const measured = run === undefined ? `--model ${shellWord(location)}` : `--run ${shellWord(run)}`;
  const command = `sleuth eval ${measured} --set run.precision=float32`;
  const where = as === "merged" ? "is merged into float32 ones" : "will be over float32 ones in other tools";
  return `The adapter was trained over 8-bit weights and ${where}. What that scores: ${command}`;
}

async function writeAdapter(
  folder: string,
  { adapter, ranges }: Pick<Awaited<ReturnType<typeof loadAdapterFolder>>, "adapter" | "ranges">,
  model: ExportedModel,
  source: ModelSource,
  dtype: FloatType,
): Promise<void> {
  const base = model.base?.name as string;
  await saveAdapterFolder(folder, { adapter, base, config: source.config, dtype, ranges });
}

/** Fills a folder beside `out` and renames it: a disk that is full leaves nothing behind. */
async function inPlace(out: string, fill: (folder: string) => Promise<void>): Promise<void> {
  try {
    await replaceFolder(path.resolve(out), fill);
  } catch (error) {
    if (!isSystemError(error)) throw error;
    throw writeError(out, error, "Nothing was written. Make room or choose another place with --out.");
  }
}

function isSystemError(error: unknown): boolean {
  return error instanceof Error && !(error instanceof UserError) && "syscall" in error;
}

/** @throws UserError when something is in the way, or would be destroyed */
function checkPlace({ out, force = false }: Options, sources: readonly (string | undefined)[]): void {
  const place = resolved(out);
  for (const source of sources) {
    if (source === undefined || !existsSync(source)) continue;
    if (isInside(resolved(source), place)) {
      throw new UserError(`--out ${out} holds the model that is to be exported (${source}). Choose another folder.`);
    }
  }
  if (!existsSync(out)) return;
  if (!statSync(out).isDirectory()) throw new UserError(`--out ${out} is a file. Choose a folder.`);
  if (readdirSync(out).length === 0) return;
  if (!force) throw new UserError(`${out} exists and is not empty. Choose another --out, or replace it with --force.`);
  const names = readdirSync(out);
  const other = names.some(isWeights)
    ? names.find((name) => !isWeights(name) && !besideWeights.includes(name))
    : names[0];
  if (other === undefined) return;
  throw new UserError(
    `${out} holds something other than an exported model (${other}), which --force does not delete. Choose another --out.`,
  );
}

function isWeights(name: string): boolean {
  return name === adapterWeightsFile || name === channelRangesFile || /^model(-\d+-of-\d+)?\.safetensors$/.test(name);
}

/** Links followed, as far as the path exists. */
function resolved(place: string): string {
  const absolute = path.resolve(place);
  if (existsSync(absolute)) return realpathSync(absolute);
  const parent = path.dirname(absolute);
  return parent === absolute ? absolute : path.join(resolved(parent), path.basename(absolute));
}

function isInside(place: string, folder: string): boolean {
  const relative = path.relative(folder, place);
  return relative === "" || (!relative.startsWith("..") && !path.isAbsolute(relative));
}

/**
 * What the source has, but for two things. The class is the one that reads `tokenizer.json` as it stands; others, `LlamaTokenizer` of transformers 5
 * among them, build a tokenizer of their own kind from its vocabulary. Of the generation settings only the ids remain: what was measured was
 * sampled without the base's penalties, temperature and top-p.
 */
function tokenizerToWrite({ config, tokenizer }: ModelSource): TokenizerFiles {
  const { eosTokenIds, vocabSize } = config;
  const [first, ...more] = eosTokenIds;
  const isRow = (id: unknown): boolean => typeof id === "number" && id < vocabSize;
  const ids = ["bos_token_id", "pad_token_id"].map((name) => [name, tokenizer.generation[name]] as const);
  return {
    ...tokenizer,
    settings: { ...tokenizer.settings, tokenizer_class: "PreTrainedTokenizerFast" },
    generation: {
      ...Object.fromEntries(ids.filter(([, id]) => isRow(id))),
      ...(first === undefined ? {} : { eos_token_id: more.length > 0 ? eosTokenIds : first }),
    },
  };
}

function sleuthVersion(): string {
  const file = new URL("../../package.json", import.meta.url);
  const { version } = JSON.parse(readFileSync(file, "utf8")) as { version: string };
  const commit = sourceCommit();
  return commit === null ? version : `${version} (commit ${commit})`;
}
