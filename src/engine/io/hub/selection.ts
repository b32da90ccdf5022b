/** @file Which files of a repository make a model, an encoder or a cross-encoder that Sleuth can read, and what to say when they do not. */
import { UserError } from "../../../errors.js";
import { adapterConfigFile, adapterWeightsFile } from "../adapter-folder.js";
import { configFile, indexFile, weightsFile } from "../safetensors-set.js";
import {
  generationFile,
  isGguf,
  settingsFile,
  specialTokensFile,
  templateFile,
  tokenizerFile,
} from "../tokenizer-files.js";
import { isSafePath } from "../../../files/safe-path.js";
import type { ListedFile } from "../../../hub/listing.js";
import type { HubName } from "../../../hub/name.js";

/** A model, an encoder or a cross-encoder. */
export interface ModelName extends HubName {
  /** Set where an encoder or cross-encoder is meant and not a model that writes: which of its ONNX files, "" or a variant like "fp16". */
  onnx?: string;
  /** The tokenizer alone is meant, of a model that is computed elsewhere. */
  tokenizerOnly?: true;
}

/** Taken where they exist. Their absence is recorded in the cache, so that a cached model is known to be whole. */
export const optionalFiles = [
  configFile,
  tokenizerFile,
  adapterConfigFile,
  settingsFile,
  specialTokensFile,
  generationFile,
  templateFile,
  "README.md",
];

/**
 * The files to fetch. Of a repository with both, the single file of weights is taken and not the shards.
 * @param readIndex reads the index of shards; called only where it is needed
 * @throws UserError when they would not make a model
 */
export async function selectFiles(
  listed: readonly ListedFile[],
  name: ModelName,
  readIndex: (index: ListedFile) => Promise<unknown>,
): Promise<ListedFile[]> {
  const byPath = new Map(listed.map((file) => [file.path, file]));
  if (name.file !== undefined) return [theGguf(byPath, name.file, name)];
  if (name.onnx !== undefined) return selectEncoderFiles(listed, name.onnx, name.repository);
  const chosen = listed.filter(({ path }) => optionalFiles.includes(path) || /^tokenizer[\w.-]*\.json$/.test(path));
  if (name.tokenizerOnly) {
    if (byPath.has(tokenizerFile)) return chosen;
    throw new UserError(`${name.repository} has no ${tokenizerFile}. Name a repository with the model's tokenizer.`);
  }
  const single = byPath.get(weightsFile);
  const index = byPath.get(indexFile);
  const adapter = byPath.has(adapterConfigFile) ? byPath.get(adapterWeightsFile) : undefined;
  if (single !== undefined) chosen.push(single);
  else if (index !== undefined) chosen.push(index, ...shards(await readIndex(index), byPath, name));
  if (adapter !== undefined) chosen.push(adapter);
  if (single === undefined && index === undefined && adapter === undefined) throw noWeights(listed, name);
  if (adapter === undefined) {
    for (const needed of [configFile, tokenizerFile])
      if (!byPath.has(needed))
        throw new UserError(
          `${name.repository} has no ${needed}, and without it Sleuth cannot read the model. Choose a repository in the format of transformers.`,
        );
  }
  return chosen;
}

/** The shards that an index names. */
export function shardNames(index: unknown): string[] {
  const map = (index as { weight_map?: Record<string, unknown> } | null)?.weight_map;
  if (typeof map !== "object" || map === null) return [];
  return [...new Set(Object.values(map))].filter((name) => typeof name === "string").sort();
}

function shards(index: unknown, byPath: ReadonlyMap<string, ListedFile>, { repository }: HubName): ListedFile[] {
  const names = shardNames(index);
  const missing = names.filter((name) => !byPath.has(name));
  if (names.length === 0) throw new UserError(`${indexFile} of ${repository} names no file of weights: it is damaged.`);
  if (missing.length > 0)
    throw new UserError(
      `${repository} lacks ${missing.join(", ")}, which its ${indexFile} names. Tell its owners, or choose another revision.`,
    );
  return names.map((name) => byPath.get(name)!);
}

function theGguf(byPath: ReadonlyMap<string, ListedFile>, path: string, name: HubName): ListedFile {
  const file = byPath.get(path);
  if (file === undefined)
    throw new UserError(`${name.repository} has no ${path}. ${ggufList([...byPath.values()], name)}`);
  if (/-\d{5}-of-\d{5}\.gguf$/i.test(path))
    throw new UserError(`${path} is one part of several, which Sleuth does not read. Choose a GGUF file in one piece.`);
  return file;
}

function noWeights(listed: readonly ListedFile[], name: HubName): UserError {
  const { repository } = name;
  if (listed.some(({ path }) => isSafeGguf(path)))
    return new UserError(
      `${repository} has GGUF files and no ${weightsFile}. Name the one that you want. ${ggufList(listed, name)}`,
    );
  const weights = listed.filter(({ path }) => /\.(safetensors|bin|pt|pth|h5|msgpack|onnx)$/.test(path));
  const has =
    weights.length === 0
      ? "no weights"
      : `only ${weights
          .map(({ path }) => path)
          .slice(0, 6)
          .join(", ")}`;
  return new UserError(
    `${repository} has no ${weightsFile}, no ${indexFile} and no ${adapterWeightsFile} beside an ${adapterConfigFile}; it has ${has}. Sleuth reads safetensors and GGUF: choose a repository or revision with those.`,
  );
}

function ggufList(listed: readonly ListedFile[], { repository, revision }: HubName): string {
  const files = listed.filter(({ path }) => isSafeGguf(path));
  if (files.length === 0) return "It has no GGUF file at all.";
  const suffix = revision === "main" ? "" : `@${revision}`;
  const lines = files.map(
    ({ path, size }) => `  hf:${repository}/${path}${suffix}  (${(size / 2 ** 20).toFixed(0)} MB)`,
  );
  return `It has:\n${lines.join("\n")}`;
}

function isSafeGguf(path: string): boolean {
  return isGguf(path) && isSafePath(path);
}

/** Where sentence-transformers keeps how long texts may be, in the order in which it looks. */
export const sentenceConfigFiles = "bert roberta distilbert camembert albert xlm-roberta xlnet"
  .split(" ")
  .map((kind) => `sentence_${kind}_config.json`);

/** What sentence-transformers puts before queries and passages. */
export const sentencePromptsFile = "config_sentence_transformers.json";

/** Taken where they exist: how long texts may be, what is put before them, how vectors are pooled and what comes behind. */
export const encoderOptional = [
  settingsFile,
  sentencePromptsFile,
  ...sentenceConfigFiles,
  "modules.json",
  "1_Pooling/config.json",
  ...["2_Dense", "3_Dense"].flatMap((folder) => [`${folder}/${configFile}`, `${folder}/${weightsFile}`]),
  "README.md",
];

/** Without these there is no encoder. */
const encoderNeeded = [configFile, tokenizerFile];

/** Where an encoder may lie, best first. BERT models run from their weights too. */
function encoderPlaces(variant: string): string[] {
  const name = variant === "" ? "model.onnx" : `model_${variant}.onnx`;
  return [`onnx/${name}`, name, ...(variant === "" ? [weightsFile] : [])];
}

/** @throws UserError when the files would not make an encoder */
function selectEncoderFiles(listed: readonly ListedFile[], variant: string, repository: string): ListedFile[] {
  const paths = new Set(listed.map(({ path }) => path));
  const model = encoderPlaces(variant).find((place) => paths.has(place));
  const missing = encoderNeeded.filter((file) => !paths.has(file));
  if (model === undefined || missing.length > 0) {
    const onnx = [...paths].filter((file) => file.endsWith(".onnx")).slice(0, 6);
    throw new UserError(
      `${repository} has no ${[...missing, ...(model === undefined ? [encoderPlaces(variant)[0]] : [])].join(" and no ")}` +
        `${onnx.length > 0 ? `; its ONNX files are ${onnx.join(", ")}` : ""}. Choose a repository with onnx/model.onnx, tokenizer.json and config.json.`,
    );
  }
  // Weights of large exports lie beside the graph, in files that begin with its name.
  const isPart = (path: string): boolean => path === model || path.startsWith(`${model}_`) || path === `${model}.data`;
  return listed.filter(({ path }) => encoderNeeded.includes(path) || encoderOptional.includes(path) || isPart(path));
}

/** Files without which a snapshot is no encoder. */
export function missingEncoderFiles(variant: string, has: (file: string) => boolean): string[] {
  const missing = encoderNeeded.filter((file) => !has(file));
  return encoderPlaces(variant).some(has) ? missing : [...missing, encoderPlaces(variant)[0]];
}
