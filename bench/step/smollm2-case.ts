/**
 * @file One piece of work on SmolLM2 with an adapter of rank 16 over frozen weights, in a process of its own, by the modules of the checkout that the
 * process runs in. A checkout that knows no precision takes no notice of it.
 */
import { json } from "node:stream/consumers";
import type * as OpenModel from "../../src/policy/local/open-model.js";
import { peakBytes } from "../memory/peak.js";
import { ofCheckout } from "../of-checkout.js";
import { openOurSteps, quickStep, wholeStep } from "../peer/grpo-step.js";
import { openSampling, openTraining } from "../peer/ours.js";
import { lora, median, tokenRows } from "../smollm2.js";

export interface SmolLm2Case {
  work: SmolLm2Work;
  model: string;
  precision: OpenModel.OpenedModel["precision"];
}

/** Medians of so many repeats. */
export type SmolLm2Work =
  | { kind: "decode"; rows: number; steps: number; repeats: number }
  /** Of 128 tokens. */
  | { kind: "prefill"; rows: number; repeats: number }
  /** Forward, backward and AdamW, of 256 tokens. */
  | { kind: "train"; rows: number; repeats: number }
  /** The step of the peer bench. */
  | { kind: "grpoStep"; isQuick: boolean };

export interface SmolLm2Figures {
  seconds: number;
  peakMb: number;
}

/** Of the GRPO step: what the plan of memory takes where there is room for all. */
const stepSizes = { microBatchTokens: 2048, recompute: "never" } as const;

const { work, model, precision } = (await json(process.stdin)) as SmolLm2Case;
process.stdout.write(JSON.stringify(await (work.kind === "grpoStep" ? grpoStep(work.isQuick) : partOfStep(work))));

async function partOfStep(part: Exclude<SmolLm2Work, { kind: "grpoStep" }>): Promise<SmolLm2Figures> {
  const { openEngineModel } = await ofCheckout<typeof OpenModel>("policy/local/open-model");
  const opened = await openEngineModel({ model, adapt: "lora", lora, precision });
  const { once, release } = openPart(part, opened);
  // Makes sessions and takes their memory; decoding does that before its clock starts.
  if (part.kind !== "decode") await once();
  const times: number[] = [];
  for (let repeat = 0; repeat < part.repeats; repeat++) times.push(await once());
  const peakMb = peakBytes() / 2 ** 20;
  await release();
  opened.remove();
  return { seconds: median(times), peakMb };
}

interface Part {
  /** Seconds of the work, done once. */
  once(): Promise<number>;
  release(): Promise<void>;
}

function openPart(
  part: Exclude<SmolLm2Work, { kind: "grpoStep" }>,
  { model }: Pick<OpenModel.OpenedModel, "model">,
): Part {
  if (part.kind === "train") {
    const training = openTraining(model);
    const sequences = tokenRows(part.rows, 257);
    const once = async (): Promise<number> => (await training.train(sequences, { step: true })).seconds;
    return { once, release: () => training.release() };
  }
  if (part.kind === "prefill") {
    const prompts = tokenRows(part.rows, 128);
    const sampling = openSampling(model, prompts.length);
    const once = async (): Promise<number> => (await sampling.prefill(prompts)).seconds;
    return { once, release: () => sampling.release() };
  }
  const prompts = tokenRows(part.rows, 160);
  const sampling = openSampling(model, part.rows);
  return { once: () => sampling.decode(prompts, part.steps), release: () => sampling.release() };
}

/** After a small step that makes the sessions. */
async function grpoStep(isQuick: boolean): Promise<SmolLm2Figures> {
  const steps = await openOurSteps(model, { precision, ...stepSizes });
  await steps.step(quickStep);
  const { seconds } = await steps.step(isQuick ? quickStep : wholeStep);
  const peakMb = peakBytes() / 2 ** 20;
  await steps.close();
  return { seconds, peakMb };
}
