/**
 * @file Speed beside transformers and TRL on torch, both sides in one run (`docs/engine.md`, "Speed against the peers"): SmolLM2-135M,
 * two threads, the same weights and tokens, medians of alternating runs. The peer computes in float32; ours multiplies frozen weights in the
 * precision that stands beside the figure. A ratio above 1: ours is faster.
 */
import { existsSync, mkdirSync } from "node:fs";
import { loadavg } from "node:os";
import path from "node:path";
import { mean } from "../src/eval/intervals.js";
import { openEngineModel, type OpenedModel } from "../src/policy/local/open-model.js";
import type { BenchContext, BenchGroup } from "./bench.js";
import { alternate, type Sides } from "./peer/alternate.js";
import { openOurSteps, peerStep, quickStep, wholeStep, type StepTime } from "./peer/grpo-step.js";
import { openSampling, openTraining, type OurSampling } from "./peer/ours.js";
import { howToSetUp, Peer, peerPython } from "./peer/process.js";
import { gemmFlops, gemmSizes, openGemm } from "./gemm.js";
import { precisionOf, type Precision } from "./precision.js";
import { flops, lora, median, runtime, smolLm2, timed, tokenRows } from "./smollm2.js";

const contextTokens = 160;
/** What is drawn to compare log-probabilities: tokens of so many rows. */
const comparedRows = 8;
const comparedTokens = 16;
/** Processes that want a processor besides this one: from here on figures are not to be trusted. */
const busy = 0.3;

/**
 * How far our log-probabilities of drawn tokens may lie from torch's, in nats, on average. SmolLM2 with 8-bit weights and activations lies
 * around 0.08 on text; with one scale for a whole tensor, which ruins the model, at 1.4.
 */
const mostGap: Readonly<Record<Precision, number>> = { float32: 1e-3, int8: 0.15 };

/** What every measurement has at hand. */
interface Bench extends BenchContext {
  peer: Peer;
  /** The folder that both sides open. */
  model: string;
  /** Of frozen weights under an adapter. */
  frozen: Precision;
  /** Name of what is measured. */
  part: string;
}

const measurements: Readonly<Record<string, (bench: Bench) => Promise<void>>> = {
  "decode.b8": (bench) => decode(bench, { rows: 8, steps: bench.quick ? 2 : 16 }),
  "decode.b64": (bench) => decode(bench, { rows: bench.quick ? 4 : 64, steps: bench.quick ? 2 : 8 }),
  prefill,
  train,
  loraStep,
  grpoStep,
};

export const parts = Object.keys(measurements);

export const unavailable = (): string | undefined => (peerPython().exists ? undefined : howToSetUp());

export const bench: BenchGroup = async (context) => {
  const [load] = loadavg();
  context.report({ name: "peer.loadBefore", value: load, unit: "processes" });
  if (load > busy) {
    context.note(
      `The machine is busy (${load.toFixed(1)} processes): torch's threads suffer more from it than ours, so ratios come out too high.`,
    );
  }
  const peer = Peer.start(runtime.threads);
  try {
    const versions = Object.entries(await peer.ask<Record<string, string>>("versions"));
    context.note(`against ${versions.map((library) => library.join(" ")).join(", ")}`);
    const model = await makeModel(peer, context.note);
    await peer.ask("open", { folder: model });
    const frozen = await precisionOf(model, context.precision);
    context.note(`our frozen weights in ${frozen}`);
    for (const name of parts.filter((part) => context.wants(part))) {
      context.note(name);
      await measurements[name]({ ...context, peer, model, frozen, part: `peer.${name}` });
    }
  } finally {
    await peer.close();
  }
};

/** SmolLM2-135M-Instruct where its file is there, else random weights of the same shape: as a folder that both sides open. */
async function makeModel(peer: Peer, note: (text: string) => void): Promise<string> {
  const gguf = path.resolve(process.env.SLEUTH_SMOLLM2 ?? ".cache/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf");
  const isThere = existsSync(gguf);
  note(
    isThere
      ? `weights of ${path.basename(gguf)}`
      : "random weights: SmolLM2-135M-Instruct is not here (npm run fixtures:smollm2)",
  );
  mkdirSync(path.join(".cache", "peer-models"), { recursive: true });
  const folder = path.resolve(".cache", "peer-models", isThere ? "smollm2-135m-instruct" : "random");
  await peer.ask("makeFolder", { folder, ...(isThere ? { gguf } : { config: randomConfig() }) });
  return folder;
}

function randomConfig(): Record<string, unknown> {
  return {
    vocab_size: smolLm2.vocabSize,
    hidden_size: smolLm2.hiddenSize,
    intermediate_size: smolLm2.intermediateSize,
    num_hidden_layers: smolLm2.layers,
    num_attention_heads: smolLm2.heads,
    num_key_value_heads: smolLm2.kvHeads,
    head_dim: smolLm2.headDim,
    rope_theta: smolLm2.ropeTheta,
    rms_norm_eps: smolLm2.rmsNormEps,
    max_position_embeddings: smolLm2.maxPositions,
    tie_word_embeddings: smolLm2.tieWordEmbeddings,
    bos_token_id: 0,
    eos_token_id: 0,
    pad_token_id: 0,
  };
}

async function decode(bench: Bench, { rows, steps }: { rows: number; steps: number }): Promise<void> {
  const prompts = tokenRows(rows, contextTokens);
  const opened = await openAdapted(bench);
  const sampling = openSampling(opened.model, rows);
  const theirs = (cache: string) => () => seconds(bench.peer, "decode", { prompts, steps, cache });
  const times = await measure(bench, {
    ours: () => sampling.decode(prompts, steps),
    static: theirs("static"),
    dynamic: theirs("dynamic"),
  });
  await compareLogprobs(bench, sampling, prompts);
  await sampling.release();
  opened.remove();
  const faster = times.static < times.dynamic ? "static" : "dynamic";
  bench.note(`the peer's faster cache: ${faster}`);
  const compared = { ours: times.ours, theirs: times[faster], raw: times.raw };
  const ours = report(bench, rows * steps, flops.decode, compared, bench.frozen);
  if (bench.part === "peer.decode.b64")
    bench.report({ name: "peer.efficiency.decode", value: ours, unit: "share", precision: bench.frozen });
}

/** As training with LoRA opens it: a fresh adapter, which is fed and changes no number yet, over frozen weights. */
function openAdapted({ model, frozen }: Bench): Promise<OpenedModel> {
  return openEngineModel({ model, adapt: "lora", lora, precision: frozen });
}

/**
 * Draws some tokens, has the peer say how likely they are, and reports the mean distance.
 * @throws Error where it is more than rounding, or than what 8 bits leave
 */
async function compareLogprobs(bench: Bench, sampling: OurSampling, prompts: readonly number[][]): Promise<void> {
  const samples = await sampling.draw(prompts.slice(0, comparedRows), comparedTokens);
  const sequences = samples.map(({ tokens_T }, row) => [...prompts[row], ...tokens_T]);
  const { logprobs } = await bench.peer.ask<{ logprobs: number[][] }>("logprobs", { sequences, last: comparedTokens });
  const gap = mean(
    samples.flatMap(({ logprobs_T }, row) => [...logprobs_T].map((ours, t) => Math.abs(ours - logprobs[row][t]))),
  );
  bench.report({ name: `${bench.part}.logprobGap`, value: gap, unit: "nats", precision: bench.frozen });
  if (!(gap <= mostGap[bench.frozen]))
    throw unequal("log-probabilities, on average apart by", gap, `at most ${mostGap[bench.frozen]}`);
}

async function prefill(bench: Bench): Promise<void> {
  const prompts = tokenRows(8, 128);
  const opened = await openAdapted(bench);
  const sampling = openSampling(opened.model, prompts.length);
  const greedy: Record<string, number[]> = {};
  const times = await measure(bench, {
    ours: async () => {
      const result = await sampling.prefill(prompts);
      greedy.ours = result.greedy;
      return result.seconds;
    },
    theirs: async () => {
      const result = await bench.peer.ask<{ seconds: number; greedy: number[] }>("prefill", { prompts });
      greedy.theirs = result.greedy;
      return result.seconds;
    },
  });
  await compareLogprobs(bench, sampling, prompts);
  await sampling.release();
  opened.remove();
  if (bench.frozen === "float32" && greedy.ours.join() !== greedy.theirs.join())
    throw unequal("next tokens", greedy.ours.join(" "), greedy.theirs.join(" "));
  report(bench, 8 * 128, flops.prefill, times, bench.frozen);
}

async function train(bench: Bench): Promise<void> {
  const sequences = tokenRows(4, 257);
  const opened = await openEngineModel({ model: bench.model, adapt: "full" });
  const training = openTraining(opened.model);
  const loss = { ours: 0, theirs: 0 };
  const times = await measure(bench, {
    ours: async () => {
      const result = await training.train(sequences);
      loss.ours = result.loss;
      return result.seconds;
    },
    theirs: async () => {
      const result = await bench.peer.ask<{ seconds: number; loss: number }>("train", { sequences });
      loss.theirs = result.loss;
      return result.seconds;
    },
  });
  await training.release();
  opened.remove();
  if (!(Math.abs(loss.ours - loss.theirs) < 1e-3)) throw unequal("losses", loss.ours, loss.theirs);
  const ours = report(bench, 4 * 256, flops.train, times, "float32");
  bench.report({ name: "peer.efficiency.train", value: ours, unit: "share", precision: "float32" });
}

/** Ours alone: a training step of an adapter beside one of all weights. */
async function loraStep(bench: Bench): Promise<void> {
  const sequences = tokenRows(4, 257);
  const whole = await openEngineModel({ model: bench.model, adapt: "full" });
  const adapted = await openAdapted(bench);
  const [full, adapter] = [openTraining(whole.model), openTraining(adapted.model)];
  const times = await measure(bench, {
    full: async () => (await full.train(sequences, { step: true })).seconds,
    lora: async () => (await adapter.train(sequences, { step: true })).seconds,
  });
  await full.release();
  await adapter.release();
  adapted.remove();
  const rate = (name: string, time: number, flopsPerToken: number, precision: Precision): void => {
    const perRaw = (1024 * flopsPerToken * times.raw) / (time * gemmFlops);
    bench.report({ name, value: 1024 / time, unit: "tok/s", perRaw, precision });
  };
  bench.report({ name: bench.part, value: times.full / times.lora, unit: "×", precision: bench.frozen });
  rate("train.fullStep", times.full, flops.train, "float32");
  rate("train.lora", times.lora, flops.trainLora, bench.frozen);
}

async function grpoStep(bench: Bench): Promise<void> {
  const work = bench.quick ? quickStep : wholeStep;
  const steps = await openOurSteps(bench.model, { precision: bench.frozen });
  const sampling: Record<"ours" | "theirs", number[]> = { ours: [], theirs: [] };
  const take = (side: "ours" | "theirs", run: () => Promise<StepTime>) => async () => {
    const time = await run();
    bench.note(`${side}: ${time.seconds.toFixed(1)} s, of it sampling ${time.sampling.toFixed(1)} s`);
    sampling[side].push(time.sampling);
    return time.seconds;
  };
  const times = await alternate(
    { ours: take("ours", () => steps.step(work)), theirs: take("theirs", () => peerStep(bench.peer, work)) },
    bench.quick ? { rounds: 1, warmUp: 0 } : { rounds: 2, warmUp: 1 },
  );
  await steps.close();
  bench.report({ name: bench.part, value: times.theirs / times.ours, unit: "×", precision: bench.frozen });
  for (const side of ["ours", "theirs"] as const) {
    const precision = side === "ours" ? bench.frozen : "float32";
    bench.report({ name: `${bench.part}.${side}`, value: times[side], unit: "s", precision });
    const secondsOfSampling = median(sampling[side].slice(-2));
    bench.report({ name: `${bench.part}.${side}.sampling`, value: secondsOfSampling, unit: "s", precision });
  }
  await bench.peer.ask("open", { folder: bench.model });
}

/** Median seconds of all sides, with the raw matrix product among them. */
async function measure<K extends string>(
  bench: Bench,
  sides: Sides<K>,
): Promise<Record<K | "raw" | "rawTheirs", number>> {
  const gemm = await openGemm();
  const raw: Sides<"raw" | "rawTheirs"> = {
    raw: () => timed(() => gemm.run()),
    rawTheirs: () => seconds(bench.peer, "gemm", gemmSizes),
  };
  const times = await alternate<string>(
    { ...sides, ...raw },
    bench.quick ? { rounds: 1, warmUp: 0 } : { rounds: 5, warmUp: 1 },
  );
  await gemm.release();
  const rate = (side: string, time: number): void =>
    bench.report({ name: `${bench.part}.raw.${side}`, value: gemmFlops / time / 1e9, unit: "GFLOP/s" });
  rate("ours", times.raw);
  rate("theirs", times.rawTheirs);
  return times;
}

async function seconds(peer: Peer, verb: string, request: object): Promise<number> {
  return (await peer.ask<{ seconds: number }>(verb, request)).seconds;
}

/** The ratio and both sides' rates; all `perRaw` are of our raw rate. Returns our own. */
function report(
  bench: Bench,
  tokens: number,
  flopsPerToken: number,
  times: { ours: number; theirs: number; raw: number },
  precision: Precision,
): number {
  const perRaw = (time: number): number => (tokens * flopsPerToken * times.raw) / (time * gemmFlops);
  bench.report({ name: bench.part, value: times.theirs / times.ours, unit: "×", precision });
  for (const side of ["ours", "theirs"] as const) {
    bench.report({
      name: `${bench.part}.${side}`,
      value: tokens / times[side],
      unit: "tok/s",
      perRaw: perRaw(times[side]),
      precision: side === "ours" ? precision : "float32",
    });
  }
  return perRaw(times.ours);
}

function unequal(what: string, ours: unknown, theirs: unknown): Error {
  return new Error(`internal: the two sides do not compute the same: ${what} ${String(ours)} and ${String(theirs)}`);
}
