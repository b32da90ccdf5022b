/** @file What a worker of `TextModel` does: it tokenizes, batches, runs the model, pools. */
import path from "node:path";
import type { Pair } from "../engine.js";
import { checkTokenizerJson } from "../../engine/io/tokenizer-check.js";
import { readRequiredJson } from "../../files/json-file.js";
import { ModelSession, type ModelOutput } from "../../engine/runtime/model-session.js";
import type { Feed } from "../../engine/runtime/session.js";
import { UserError } from "../../errors.js";
import type { Handler } from "../../workers/serve-tasks.js";
import { openHeads } from "./heads.js";
import type { ModelFolder } from "./model-folder.js";
import type { Pooling, SentenceModules } from "./sentence-folder.js";
import { batchesOf, lowerCased, TextTokenizer, type TokenizedText } from "./text-tokenizer.js";

export interface TextModelData {
  model: ModelFolder;
  threads: number;
  /** How texts become vectors; absent for models that score pairs. */
  recipe?: VectorRecipe;
  maxTokens: number;
}

/** From the vectors of a text's tokens to its own. */
export interface VectorRecipe extends SentenceModules {
  /** As a person or an index says: it counts before what the files say. */
  given: Pooling | undefined;
  /** Where neither they nor the files say, and the graph does not pool on its own. */
  usual: Pooling;
}

/** Texts, with what is put before each of them; or pairs. */
export type ModelTask = { texts: string[]; prompt?: string } | { pairs: Pair[] };

/** Row-major, [texts or pairs × width]: unit vectors of texts, logits of pairs. */
export interface ModelAnswer {
  values: Float32Array;
  width: number;
  /** How the vectors were pooled. */
  pooling?: Pooling;
}

/** Tokens that go through the model at once, padding included. More is no faster on processors and takes more memory. */
const tokensPerBatch = 2048;

/** The output of a graph that was exported with its pooling. */
const ownPooling = "sentence_embedding";

/** @throws UserError for files that cannot be used */
export async function openComputation({
  model,
  threads,
  recipe,
  maxTokens,
}: TextModelData): Promise<Handler<ModelTask, ModelAnswer>> {
  const session = await openSession(model, threads);
  const tokenizer = await openTokenizer(model);
  const encode = recipe && (await openRecipe(recipe, session.outputs, model));

  async function embed(texts: readonly string[], prompt: string): Promise<ModelAnswer> {
    if (encode === undefined) throw new Error("internal: a model for pairs is asked for vectors");
    const rows = texts.map((text) => tokenizer.text(prompt + text, maxTokens));
    const skipped = encode.includesPrompt || prompt === "" ? 0 : tokenizer.prefixLength(prompt, maxTokens);
    const read = (output: ModelOutput, row: number, tokens: number): Float32Array =>
      encode.vector(output, row, skipped, tokens);
    return { ...(await run(rows, encode.output, read)), pooling: encode.pooling };
  }

  /** What the model says about each row of tokens: [rows × width]. */
  async function run(
    rows: TokenizedText[],
    output: string,
    read: (output: ModelOutput, row: number, tokens: number) => Float32Array,
  ): Promise<ModelAnswer> {
    // A model cannot read nothing at all.
    for (const row of rows) if (row.ids.length === 0) [row.ids, row.types] = [[model.padId], [0]];
    const lengths = rows.map(({ ids }) => ids.length);
    let values: Float32Array | undefined;
    let width = 0;
    for (const batch of batchesOf(lengths, tokensPerBatch)) {
      const result = (await session.run(feedsOf(batch, rows, model.padId), [output]))[output];
      for (const [place, row] of batch.entries()) {
        const vector = read(result, place, lengths[row]);
        width = vector.length;
        values ??= new Float32Array(rows.length * width);
        values.set(vector, row * width);
      }
    }
    return { values: values ?? new Float32Array(0), width };
  }

  return {
    run(task: ModelTask): Promise<ModelAnswer> {
      if ("texts" in task) return embed(task.texts, task.prompt ?? "");
      const output = session.outputs.includes("logits") ? "logits" : session.outputs[0];
      const rows = task.pairs.map(({ query, passage }) => tokenizer.pair(query, passage, maxTokens));
      return run(rows, output, logitsOf);
    },
    transfer: ({ values }: ModelAnswer) => [values.buffer as ArrayBuffer],
  };
}

async function openTokenizer({ folder, isLowerCase }: ModelFolder): Promise<TextTokenizer> {
  const file = path.join(folder, "tokenizer.json");
  const json = await readRequiredJson(file, "Copy it from the model's source.");
  checkTokenizerJson(json, file);
  return new TextTokenizer(isLowerCase ? lowerCased(json) : json, file);
}

interface Recipe {
  output: string;
  pooling: Pooling;
  includesPrompt: boolean;
  /** The unit vector of a row, whose first `skipped` tokens do not count. */
  vector(output: ModelOutput, row: number, skipped: number, tokens: number): Float32Array;
}

/** Which output of the graph is read, and how. A graph that pools on its own has the modules behind the pooling inside, too. */
async function openRecipe(recipe: VectorRecipe, outputs: readonly string[], { root }: ModelFolder): Promise<Recipe> {
  const { given, usual, heads, includesPrompt, dimensions } = recipe;
  const hasOwn = outputs.includes(ownPooling);
  const own = hasOwn && (given ?? recipe.pooling) === undefined;
  const output = given === "model" || own ? ownPooling : hiddenOutput(outputs);
  if (given === "model" && !hasOwn)
    throw new UserError(
      `The graph in ${root} has no output ${ownPooling}: it does not pool on its own. Choose mean or cls.`,
    );
  const isPooled = output === ownPooling;
  if (isPooled && !includesPrompt)
    throw new UserError(
      `The graph in ${root} pools on its own, and 1_Pooling leaves the tokens of prompts out: that cannot be done from outside. Export the model with an output last_hidden_state.`,
    );
  const pooling = given ?? (isPooled ? "model" : (recipe.pooling ?? usual));
  const apply = await openHeads(isPooled ? [] : heads);
  return {
    ...{ output, pooling, includesPrompt },
    vector: (result, row, skipped, tokens) =>
      unitVector(apply(pooled(result, row, skipped, tokens, pooling)).subarray(0, dimensions)),
  };
}

async function openSession({ onnx, folder, config }: ModelFolder, threads: number): Promise<ModelSession> {
  if (onnx !== undefined) return ModelSession.open(onnx, { threads });
  // Loaded only where it is needed: workers are to start quickly.
  const [{ openSafetensors }, { bertGraph }] = await Promise.all([
    import("../../engine/io/safetensors-set.js"),
    import("../../engine/model/bert.js"),
  ]);
  const weights = await openSafetensors(folder);
  try {
    return await ModelSession.open(await bertGraph(config, weights, folder), { threads });
  } finally {
    await weights.close();
  }
}

/** Rows padded on the right to the longest. */
function feedsOf(batch: readonly number[], rows: readonly TokenizedText[], padId: number): Record<string, Feed> {
  const longest = Math.max(...batch.map((row) => rows[row].ids.length));
  const dims = [batch.length, longest];
  const ids = new Int32Array(batch.length * longest).fill(padId);
  const mask = new Int32Array(ids.length);
  const types = new Int32Array(ids.length);
  for (const [place, row] of batch.entries()) {
    ids.set(rows[row].ids, place * longest);
    types.set(rows[row].types, place * longest);
    mask.fill(1, place * longest, place * longest + rows[row].ids.length);
  }
  return {
    input_ids: { data: ids, dims },
    attention_mask: { data: mask, dims },
    token_type_ids: { data: types, dims },
  };
}

/** The output with a vector for each token, or else one that is pooled already. */
function hiddenOutput(outputs: readonly string[]): string {
  const known = ["last_hidden_state", "token_embeddings", ownPooling, "pooler_output"];
  const name = known.find((candidate) => outputs.includes(candidate)) ?? outputs[0];
  if (name === "logits")
    throw new UserError("The model has logits and no vectors: it is a classifier or cross-encoder. Name an encoder.");
  return name;
}

function pooled(
  { data, dims }: ModelOutput,
  row: number,
  skipped: number,
  tokens: number,
  pooling: Pooling,
): Float32Array {
  const width = dims[dims.length - 1];
  if (dims.length === 2) return Float32Array.from(data.subarray(row * width, (row + 1) * width) as Float32Array);
  if (dims.length !== 3)
    throw new UserError(`The model's output has ${dims.length} axes instead of 2 or 3: it is no encoder.`);
  const start = row * dims[1] * width;
  const sum = new Float64Array(width);
  const first = Math.min(skipped, tokens - 1);
  const end = pooling === "cls" ? first + 1 : tokens;
  for (let token = first; token < end; token++)
    for (let index = 0; index < width; index++) sum[index] += Number(data[start + token * width + index]);
  return Float32Array.from(sum, (value) => value / (end - first));
}

/** @throws Error for a vector without direction */
function unitVector(vector: Float32Array): Float32Array {
  let squares = 0;
  for (const value of vector) squares += value * value;
  const length = Math.sqrt(squares);
  if (!(length > 0 && length < Infinity))
    throw new Error(
      "the model gave a vector that is zero or not finite; half-precision models can overflow: use another variant",
    );
  return vector.map((value) => value / length);
}

function logitsOf({ data, dims }: ModelOutput, row: number): Float32Array {
  const width = dims.length === 1 ? 1 : dims[dims.length - 1];
  const logits = Float32Array.from(data.subarray(row * width, (row + 1) * width) as Float32Array);
  if (!logits.every(Number.isFinite)) throw new Error("the model gave a score that is not finite");
  return logits;
}
