/** @file The frozen weights under an adapter: in float32, or in 8 bits that are fitted to some texts; and how far apart the two are for an adapter that knows the other. */
import { freezeWeights, type FrozenWeights } from "../../engine/io/frozen-weights.js";
import type { ModelSource } from "../../engine/io/tensor-set.js";
import { tokenizerFromFiles } from "../../engine/io/tokenizer.js";
import { measureChannelRanges } from "../../engine/int8/channel-ranges.js";
import { usualTexts } from "../../engine/int8/usual-texts.js";
import type { ChannelRanges, Precision } from "../../engine/model/int8.js";
import type { Adapter } from "../../engine/model/lora.js";
import type { EngineModel } from "../../engine/model/weights.js";
import { Trainer } from "../../engine/optim/forward-backward.js";
import type { RuntimeOptions } from "../../engine/runtime/session.js";

interface FrozenBaseOptions {
  precision: Precision;
  /** Texts in tokens; without them some English ones. */
  texts?: readonly (readonly number[])[];
  /** How large the inputs of linear layers got when the adapter was trained, or in the checkpoint that will be loaded. */
  ranges?: ChannelRanges;
  /** In what the base was multiplied when the adapter was trained, where that is known and something else than a checkpoint. */
  trainedOn?: Precision;
  runtime: RuntimeOptions;
}

interface FrozenBase {
  model: EngineModel;
  notes: string[];
  /** Deletes what was put on disk. */
  remove(): void;
}

/** Of the texts, so many are read over both bases, and so many tokens of each. */
const compared = { texts: 4, tokens: 192 };

/** The adapter over its base; where it was trained over the other kind, with a note on how far the two are apart. */
export async function freezeBase(
  source: ModelSource,
  adapter: Adapter,
  options: FrozenBaseOptions,
): Promise<FrozenBase> {
  const { precision, trainedOn = precision, runtime } = options;
  const { config } = source;
  const over = ({ tensors, int8 }: FrozenWeights): EngineModel => {
    return { config, trainable: adapter.parameters, base: { lora: adapter.lora, tensors, int8 } };
  };
  const isMixed = trainedOn !== precision;
  let { ranges } = options;
  const areTextsRead = isMixed || (precision === "int8" && ranges === undefined);
  const given = options.texts?.filter(({ length }) => length > 0) ?? [];
  const texts = !areTextsRead ? [] : given.length > 0 ? given : usualTextsOf(source);
  const logprobs = (frozen: FrozenWeights): Promise<Float32Array[]> => logprobsOf(over(frozen), texts, runtime);
  let before: Float32Array[] | undefined;
  if (precision === "int8" && (ranges === undefined || isMixed)) {
    await withFrozen(source, undefined, async (frozen) => {
      ranges ??= await measureChannelRanges(over(frozen), texts, runtime);
      if (isMixed) before = await logprobs(frozen);
    });
  } else if (isMixed) before = await withFrozen(source, ranges, logprobs);
  const frozen = await freezeWeights(source, precision === "int8" ? ranges : undefined);
  const opened = { model: over(frozen), remove: frozen.remove };
  if (before === undefined) return { ...opened, notes: [] };
  try {
    return { ...opened, notes: [mixingNote(precision, before, await logprobs(frozen))] };
  } catch (error) {
    frozen.remove();
    throw error;
  }
}

const usualTextsOf = ({ tokenizer, config }: ModelSource): number[][] =>
  usualTexts(tokenizerFromFiles(tokenizer, config.eosTokenIds));

async function withFrozen<T>(
  source: ModelSource,
  ranges: ChannelRanges | undefined,
  use: (frozen: FrozenWeights) => Promise<T>,
): Promise<T> {
  const frozen = await freezeWeights(source, ranges);
  try {
    return await use(frozen);
  } finally {
    frozen.remove();
  }
}

async function logprobsOf(
  model: EngineModel,
  texts: readonly (readonly number[])[],
  runtime: RuntimeOptions,
): Promise<Float32Array[]> {
  const microBatchTokens = compared.tokens;
  const most = Math.min(compared.tokens, model.config.maxPositions);
  const trainer = new Trainer(model, { ...runtime, prepack: false, microBatchTokens, onRun: () => {} });
  try {
    return await trainer.logprobs(texts.slice(0, compared.texts).map((text) => text.slice(0, most)));
  } finally {
    await trainer.release();
  }
}

const inWords: Readonly<Record<Precision, string>> = { int8: "8-bit", float32: "float32" };

function mixingNote(precision: Precision, before: readonly Float32Array[], after: readonly Float32Array[]): string {
  const gaps = before.flatMap((row, index) =>
    Array.from(row, (value, t) => Math.abs(value - after[index][t])).slice(1),
  );
  const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length;
  const other = precision === "int8" ? "float32" : "int8";
  return (
    `The adapter was trained over ${inWords[other]} weights and is opened over ${inWords[precision]} ones, which moves the log-probability of a token by ` +
    `${mean.toFixed(3)} nats on average (${gaps.length} tokens); run.precision=${other} takes those that it knows.`
  );
}
