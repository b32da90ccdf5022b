/**
 * @file BERT (arXiv:1810.04805) as an ONNX graph, from a Hugging Face folder with `config.json` and `model.safetensors`: encoders and
 * cross-encoders that were never exported run as they are. Inference only, so it uses ONNX Runtime's fused operators.
 *
 * Axes: B texts, T tokens, H hidden.
 */
import { UserError } from "../../errors.js";
import type { Json } from "../../files/json-file.js";
import type { TensorSet } from "../io/tensor-set.js";
import { OnnxEmitter, type EncodedModel } from "../onnx/emitter.js";

const fused = "com.microsoft";

interface BertShape {
  hidden: number;
  layers: number;
  heads: number;
  epsilon: number;
}

/**
 * Inputs `input_ids`, `attention_mask`, `token_type_ids` (int32 [B, T]); output `last_hidden_state` [B, T, H], or `logits` [B, labels]
 * where the weights have a classifier.
 * @param source names the folder in messages
 * @throws UserError for other architectures, and naming a tensor that is missing
 */
export async function bertGraph(config: Json, weights: TensorSet, source: string): Promise<EncodedModel> {
  const shape = bertShape(config, source);
  return new BertBuilder(shape, weights, source).build();
}

/**
 * What a `config.json` says of the graph; a config alone tells whether a model can be run from its weights.
 * @throws UserError for other architectures
 */
export function bertShape(config: Json, source: string): BertShape {
  const refuse = (why: string): UserError =>
    new UserError(
      `${source} has no ONNX file, and without one Sleuth runs plain BERT models only: ${why}. Export it, for example with ` +
        "`optimum-cli export onnx --model NAME FOLDER`, or choose a repository that has onnx/model.onnx.",
    );
  if (config.model_type !== "bert") throw refuse(`config.json says model_type ${JSON.stringify(config.model_type)}`);
  if (config.hidden_act !== "gelu") throw refuse(`config.json says hidden_act ${JSON.stringify(config.hidden_act)}`);
  if ((config.position_embedding_type ?? "absolute") !== "absolute" || config.is_decoder === true)
    throw refuse("its positions or its attention are of another kind");
  const number = (field: string): number => {
    const value = config[field];
    if (typeof value !== "number" || !(value > 0)) throw refuse(`config.json has no usable "${field}"`);
    return value;
  };
  const shape = {
    hidden: number("hidden_size"),
    layers: number("num_hidden_layers"),
    heads: number("num_attention_heads"),
    epsilon: number("layer_norm_eps"),
  };
  if (shape.hidden % shape.heads !== 0) throw refuse("hidden_size is no multiple of num_attention_heads");
  return shape;
}

class BertBuilder {
  readonly #emitter = new OnnxEmitter();
  readonly #shape: BertShape;
  readonly #weights: TensorSet;
  readonly #source: string;
  /** Task heads keep the encoder under "bert.". */
  readonly #prefix: string;

  constructor(shape: BertShape, weights: TensorSet, source: string) {
    this.#shape = shape;
    this.#weights = weights;
    this.#source = source;
    this.#prefix = weights.tensors.has("bert.embeddings.word_embeddings.weight") ? "bert." : "";
  }

  async build(): Promise<EncodedModel> {
    const emitter = this.#emitter;
    for (const name of ["input_ids", "attention_mask", "token_type_ids"]) emitter.input(name, ["B", "T"], "int32");
    let hidden = await this.#embeddings();
    for (let layer = 0; layer < this.#shape.layers; layer++) hidden = await this.#layer(hidden, layer);
    const labels = this.#weights.tensors.get("classifier.weight")?.shape[0];
    if (labels === undefined) {
      emitter.emitNamed("Identity", [hidden], ["last_hidden_state"]);
      emitter.output("last_hidden_state", ["B", "T", this.#shape.hidden], "float32");
    } else {
      await this.#classifier(hidden);
      emitter.output("logits", ["B", labels], "float32");
    }
    return emitter.encode();
  }

  async #embeddings(): Promise<string> {
    const tables = ["word_embeddings", "position_embeddings", "token_type_embeddings"];
    const constants: string[] = [];
    for (const table of tables) constants.push(await this.#constant(`${this.#prefix}embeddings.${table}.weight`));
    const norm = await this.#norm(`${this.#prefix}embeddings.LayerNorm`);
    this.#emitter.emitNamed(
      "EmbedLayerNormalization",
      ["input_ids", "token_type_ids", ...constants, ...norm],
      ["embedded", "unused_lengths"],
      { epsilon: { float: this.#shape.epsilon } },
      fused,
    );
    return "embedded";
  }

  async #layer(input: string, index: number): Promise<string> {
    const emitter = this.#emitter;
    const base = `${this.#prefix}encoder.layer.${index}.`;
    const attention = emitter.emit(
      "Attention",
      [input, await this.#joinedWeights(base), await this.#joinedBiases(base), "attention_mask"],
      { num_heads: this.#shape.heads },
      fused,
    );
    const attended = await this.#linear(attention, `${base}attention.output.dense`);
    const middle = await this.#skipNorm(attended, input, `${base}attention.output.LayerNorm`);
    const wide = emitter.emit("MatMul", [middle, await this.#transposed(`${base}intermediate.dense.weight`)]);
    const active = emitter.emit("BiasGelu", [wide, await this.#constant(`${base}intermediate.dense.bias`)], {}, fused);
    const narrow = await this.#linear(active, `${base}output.dense`);
    return this.#skipNorm(narrow, middle, `${base}output.LayerNorm`);
  }

  /** The pooler and the classifier of `BertForSequenceClassification`: both read the first token. */
  async #classifier(hidden: string): Promise<void> {
    const emitter = this.#emitter;
    const first = emitter.emit("Gather", [hidden, emitter.scalar("int32", 0)], { axis: 1 });
    const pooled = emitter.emit("Tanh", [await this.#linear(first, `${this.#prefix}pooler.dense`)]);
    emitter.emitNamed("Identity", [await this.#linear(pooled, "classifier")], ["logits"]);
  }

  async #linear(input: string, name: string): Promise<string> {
    const product = this.#emitter.emit("MatMul", [input, await this.#transposed(`${name}.weight`)]);
    return this.#emitter.emit("Add", [product, await this.#constant(`${name}.bias`)]);
  }

  async #skipNorm(input: string, skip: string, name: string): Promise<string> {
    const norm = await this.#norm(name);
    const attributes = { epsilon: { float: this.#shape.epsilon } };
    return this.#emitter.emit("SkipLayerNormalization", [input, skip, ...norm], attributes, fused);
  }

  async #norm(name: string): Promise<[string, string]> {
    // Checkpoints converted from TensorFlow call them gamma and beta.
    const isOld = this.#weights.tensors.has(`${name}.gamma`);
    return [
      await this.#constant(`${name}.${isOld ? "gamma" : "weight"}`),
      await this.#constant(`${name}.${isOld ? "beta" : "bias"}`),
    ];
  }

  /** Weights of queries, keys and values side by side: [H, 3·H]. */
  async #joinedWeights(base: string): Promise<string> {
    const { hidden } = this.#shape;
    const joined = new Float32Array(hidden * 3 * hidden);
    for (const [part, kind] of ["query", "key", "value"].entries()) {
      const weight = await this.#read(`${base}attention.self.${kind}.weight`);
      for (let out = 0; out < hidden; out++)
        for (let into = 0; into < hidden; into++)
          joined[into * 3 * hidden + part * hidden + out] = weight[out * hidden + into];
    }
    const name = `${base}attention.weight`;
    this.#emitter.initializer(name, [hidden, 3 * hidden], joined);
    return name;
  }

  async #joinedBiases(base: string): Promise<string> {
    const { hidden } = this.#shape;
    const joined = new Float32Array(3 * hidden);
    for (const [part, kind] of ["query", "key", "value"].entries())
      joined.set(await this.#read(`${base}attention.self.${kind}.bias`), part * hidden);
    const name = `${base}attention.bias`;
    this.#emitter.initializer(name, [3 * hidden], joined);
    return name;
  }

  /** torch keeps weights as [out, in]. */
  async #transposed(name: string): Promise<string> {
    const data = await this.#read(name);
    const [outs, ins] = this.#weights.tensors.get(name)!.shape;
    const turned = new Float32Array(data.length);
    for (let out = 0; out < outs; out++)
      for (let into = 0; into < ins; into++) turned[into * outs + out] = data[out * ins + into];
    this.#emitter.initializer(name, [ins, outs], turned);
    return name;
  }

  async #constant(name: string): Promise<string> {
    this.#emitter.initializer(name, this.#weights.tensors.get(name)?.shape ?? [], await this.#read(name));
    return name;
  }

  async #read(name: string): Promise<Float32Array> {
    const stored = this.#weights.tensors.get(name);
    if (stored === undefined)
      throw new UserError(
        `${this.#weights.location} lacks the tensor "${name}" that a BERT model has. Is ${this.#source} another kind of model? Use one with onnx/model.onnx.`,
      );
    if (stored.unreadable !== undefined) throw stored.unreadable;
    return this.#weights.read(name);
  }
}
