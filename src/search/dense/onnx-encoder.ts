/** @file An encoder from a Hugging Face folder, run in a worker. */
import path from "node:path";
import { isHubName } from "../../hub/name.js";
import { weightsFile } from "../../engine/io/safetensors-set.js";
import type { SearchOptions } from "../engine.js";
import { modelNameOf, poolingOf, prefixesFor, type Encoder, type EncoderSource, type TextKind } from "./encoder.js";
import { fingerprintOf, readModelFolder, type ModelFolder } from "../text-model/model-folder.js";
import { readPrompts, readSentenceModules, type Pooling, type SentenceModules } from "../text-model/sentence-folder.js";
import { TextModel, type TextModelOptions } from "../text-model/text-model.js";

/** How long texts may be, an encoder's source says. */
export type OnnxEncoderOptions = Omit<TextModelOptions, "maxTokens">;

/** E5, bge, MiniLM, GTE and their like: tokens' vectors pooled and brought to length one. */
export class OnnxEncoder implements Encoder {
  readonly name: string;
  readonly source: EncoderSource;
  readonly #model: TextModel;
  readonly #prefixes: Readonly<Record<TextKind, string>>;
  #encoded = 0;

  private constructor(name: string, source: EncoderSource, model: TextModel, prefixes: Record<TextKind, string>) {
    this.name = name;
    this.source = source;
    this.#model = model;
    this.#prefixes = prefixes;
  }

  /** @throws UserError when the model's files are missing, cannot be used, or ask for what Sleuth cannot do */
  static async open(source: EncoderSource, options: OnnxEncoderOptions = {}): Promise<OnnxEncoder> {
    const { location, model: variant = "", maxTokens } = source;
    const files = await readModelFolder(location, variant, options.hub);
    const modelName = modelNameOf(location);
    const hasPrefixes = source.queryPrefix !== undefined && source.passagePrefix !== undefined;
    const prefixes = prefixesFor(source, modelName, hasPrefixes ? undefined : await readPrompts(files.root));
    const modules = await readSentenceModules(files.root);
    const recipe = { ...modules, given: source.pooling, usual: poolingOf(modelName) };
    const model = await TextModel.open("dense", files, recipe, { texts: ["a"] }, { ...options, maxTokens });
    const pooling = model.pooling ?? recipe.usual;
    const facts = { fingerprint: files.fingerprint, pooling, maxTokens: model.maxTokens, prefixes };
    const name = nameOf(facts, await oddities(files, modules, facts));
    const kept = { pooling, maxTokens: model.maxTokens, queryPrefix: prefixes.query, passagePrefix: prefixes.passage };
    const again = isHubName(location) ? location : path.resolve(location);
    return new OnnxEncoder(name, { ...source, ...kept, location: again }, model, prefixes);
  }

  get dimensions(): number {
    return this.#model.width;
  }

  async encode(texts: readonly string[], kind: TextKind, options: SearchOptions = {}): Promise<Float32Array> {
    const vectors = await this.#model.embed(texts, this.#prefixes[kind], options);
    this.#encoded += texts.length;
    return vectors;
  }

  counts(): Readonly<Record<string, number>> {
    return { textsEncoded: this.#encoded };
  }

  close(): Promise<void> {
    return this.#model.close();
  }
}

interface NameFacts {
  fingerprint: string;
  pooling: Pooling;
  maxTokens: number;
  prefixes: Record<TextKind, string>;
}

/** The weights by their fingerprint: the same model has the same name wherever it lies. `asNamed` reads it. */
function nameOf({ fingerprint, pooling, maxTokens, prefixes }: NameFacts, odd: readonly string[]): string {
  const texts = [`query ${JSON.stringify(prefixes.query)}`, `passage ${JSON.stringify(prefixes.passage)}`];
  return [`onnx ${fingerprint}`, `${pooling} pooling`, ...odd, `${maxTokens} tokens`, ...texts].join(", ");
}

/** What only few models have, and what changes their vectors. */
async function oddities(
  { isLowerCase }: ModelFolder,
  { heads, includesPrompt, dimensions }: SentenceModules,
  { pooling, prefixes }: NameFacts,
): Promise<string[]> {
  const skipsPrompts = !includesPrompt && Object.values(prefixes).some((prefix) => prefix !== "");
  const isOutside = pooling !== "model" && heads.some((head) => head !== "normalize");
  const named = heads.map(async (head) =>
    head === "normalize" ? head : `${head.activation} ${await fingerprintOf([path.join(head.folder, weightsFile)])}`,
  );
  return [
    ...(skipsPrompts ? ["without prompts"] : []),
    ...(isOutside ? [`then ${(await Promise.all(named)).join(" and ")}`] : []),
    ...(dimensions === undefined ? [] : [`the first ${dimensions} numbers`]),
    ...(isLowerCase ? ["lower case"] : []),
  ];
}
