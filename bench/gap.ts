/**
 * @file How far log-probabilities of SmolLM2 are apart that are computed in several ways: in 8 bits and in float32, by the sampler and by the trainer, and before and after the least of
 * updates.
 */
import { smollm2, smollm2IsAbsent } from "../src/engine/io/smollm2.test-support.js";
import { loadTokenizer } from "../src/engine/io/tokenizer.js";
import { Trainer } from "../src/engine/optim/forward-backward.js";
import { OnnxBackend } from "../src/engine/generate/onnx-backend.js";
import { Sampler } from "../src/engine/generate/sampler.js";
import { openEngineModel } from "../src/policy/local/open-model.js";
import type { BenchGroup } from "./bench.js";
import type { Precision } from "./precision.js";
import { lora, runtime } from "./smollm2.js";

const text =
  "The river Danube flows through ten countries, more than any other river in the world. It rises in the Black Forest of Germany, where two small streams join, and it ends in the " +
  "Black Sea. Four capital cities lie on its banks: Vienna, Bratislava, Budapest and Belgrade. Ships have carried grain, salt and timber along it since Roman times, when it was for " +
  "centuries the border of the empire. Today a canal joins it with the Rhine and the Main.";
/** Tokens of the text that stand before what is sampled, and the sequences that are sampled behind them. */
const promptTokens = 24;
const sampled = { sequences: 4, tokens: 32 };
/** Of every number of the adapters' B: less than one step of AdamW at a learning rate of 1e-5. */
const nudge = 1e-6;

export const unavailable = (): string | undefined =>
  smollm2IsAbsent ? `${smollm2} is not there. npm run fixtures:smollm2 fetches it.` : undefined;

export const bench: BenchGroup = async ({ report, note }) => {
  const tokens_T = (await loadTokenizer(smollm2)).encode(text);
  const compare = (name: string, a: ArrayLike<number>, b: ArrayLike<number>): void => {
    const distances = Array.from(a, (value, t) => Math.abs(value - b[t]));
    const mean = distances.reduce((sum, distance) => sum + distance, 0) / distances.length;
    report({ name: `gap.${name}`, value: mean, unit: "nats" });
    report({ name: `gap.${name}.largest`, value: Math.max(...distances), unit: "nats" });
  };
  const known: Partial<Record<Precision, Float32Array>> = {};
  for (const precision of ["float32", "int8"] as const) {
    note(`log-probabilities in ${precision}`);
    const { model, remove } = await openEngineModel({ model: smollm2, adapt: "lora", lora, precision });
    const trainer = new Trainer(model, { ...runtime, microBatchTokens: 512 });
    const backend = new OnnxBackend(model, runtime);
    const sampler = new Sampler(backend, { contextLength: 256, decode: () => "" });
    try {
      const [alone] = await trainer.logprobs([tokens_T]);
      known[precision] = alone.subarray(1);

      const prompt_T = tokens_T.slice(0, promptTokens);
      const samples = await Promise.all(
        Array.from({ length: sampled.sequences }, (_, seed) =>
          sampler.sample(prompt_T, { maxTokens: sampled.tokens, seed }),
        ),
      );
      const rows = await trainer.logprobs(samples.map((sample) => [...prompt_T, ...sample.tokens_T]));
      const ofTrainer = rows.flatMap((row) => [...row.subarray(promptTokens)]);
      compare(
        `sampler.${precision}`,
        samples.flatMap(({ logprobs_T }) => [...logprobs_T]),
        ofTrainer,
      );

      for (const { name } of model.trainable.shapes)
        if (name.includes("lora_B")) model.trainable.views.get(name)?.fill(nudge);
      const [nudged] = await trainer.logprobs([tokens_T]);
      compare(`nudged.${precision}`, nudged.subarray(1), known[precision]);
    } finally {
      await sampler.close();
      await backend.release();
      await trainer.release();
      remove();
    }
  }
  compare("int8.float32", known.int8 ?? [], known.float32 ?? []);
};
