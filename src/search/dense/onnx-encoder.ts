/** @file An encoder from a Hugging Face folder, run in a worker. */
import path from "node:path";
import { isHubName } from "../../engine/io/hub/name.js";
import type { SearchOptions } from "../engine.js";
import { modelNameOf, poolingOf, prefixesFor, type Encoder, type EncoderSource, type TextKind } from "./encoder.js";
import { readModelFolder } from "../text-model/model-folder.js";
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

  /** @throws UserError when the model's files are missing or cannot be used */
  static async open(source: EncoderSource, options: OnnxEncoderOptions = {}): Promise<OnnxEncoder> {
    const { location, model: variant = "", maxTokens } = source;
    const files = await readModelFolder(location, variant, options.hub);
    const modelName = modelNameOf(location);
    const prefixes = prefixesFor(source, modelName);
    const pooling = source.pooling ?? files.pooling ?? poolingOf(modelName);
    const model = await TextModel.open("dense", files, pooling, { texts: ["a"] }, { ...options, maxTokens });
    // The weights by their fingerprint: the same model has the same name wherever it lies.
    const name = `onnx ${files.fingerprint}, ${pooling} pooling, ${model.maxTokens} tokens, query ${JSON.stringify(prefixes.query)}, passage ${JSON.stringify(prefixes.passage)}`;
    const again = isHubName(location) ? source : { ...source, location: path.resolve(location) };
    return new OnnxEncoder(name, again, model, prefixes);
  }

  get dimensions(): number {
    return this.#model.width;
  }

  async encode(texts: readonly string[], kind: TextKind, options: SearchOptions = {}): Promise<Float32Array> {
    const prefix = this.#prefixes[kind];
    const vectors = await this.#model.embed(prefix === "" ? texts : texts.map((text) => prefix + text), options);
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
