/** @file Which files of a repository make an encoder or a cross-encoder. */
import { UserError } from "../../../errors.js";
import { configFile, weightsFile } from "../safetensors-set.js";
import { settingsFile, tokenizerFile } from "../tokenizer-files.js";
import type { ListedFile } from "./selection.js";

/** Taken where they exist: how long texts may be, and how vectors are pooled. */
export const encoderOptional = [
  settingsFile,
  "modules.json",
  "sentence_bert_config.json",
  "1_Pooling/config.json",
  "README.md",
];

const needed = [configFile, tokenizerFile];

/** Where the model may lie, best first. BERT models run from their weights too. */
function places(variant: string): string[] {
  const name = variant === "" ? "model.onnx" : `model_${variant}.onnx`;
  return [`onnx/${name}`, name, ...(variant === "" ? [weightsFile] : [])];
}

/** @throws UserError when the files would not make an encoder */
export function selectEncoderFiles(listed: readonly ListedFile[], variant: string, repository: string): ListedFile[] {
  const paths = new Set(listed.map(({ path }) => path));
  const model = places(variant).find((place) => paths.has(place));
  const missing = needed.filter((file) => !paths.has(file));
  if (model === undefined || missing.length > 0) {
    const onnx = [...paths].filter((file) => file.endsWith(".onnx")).slice(0, 6);
    throw new UserError(
      `${repository} has no ${[...missing, ...(model === undefined ? [places(variant)[0]] : [])].join(" and no ")}` +
        `${onnx.length > 0 ? `; its ONNX files are ${onnx.join(", ")}` : ""}. Choose a repository with onnx/model.onnx, tokenizer.json and config.json.`,
    );
  }
  // Weights of large exports lie beside the graph, in files that begin with its name.
  const isPart = (path: string): boolean => path === model || path.startsWith(`${model}_`) || path === `${model}.data`;
  return listed.filter(({ path }) => needed.includes(path) || encoderOptional.includes(path) || isPart(path));
}

/** Files without which a snapshot is no encoder. */
export function missingEncoderFiles(variant: string, has: (file: string) => boolean): string[] {
  const missing = needed.filter((file) => !has(file));
  return places(variant).some(has) ? missing : [...missing, places(variant)[0]];
}
