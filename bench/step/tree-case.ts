/**
 * @file The gradient of a few groups of attempts that share two thirds of their tokens, in a process of its own, by the modules of the checkout that the process
 * runs in: SmolLM2, an adapter of rank 16, float32 on both sides, since trees are compared here and not products.
 */
import { json } from "node:stream/consumers";
import type * as OpenModel from "../../src/policy/local/open-model.js";
import type * as ForwardBackward from "../../src/engine/optim/forward-backward.js";
import type { Datum } from "../../src/types.js";
import { ofCheckout } from "../of-checkout.js";
import { lora, runtime, smolLm2, timed } from "../smollm2.js";

export interface TreeFigures {
  seconds: number;
  peakMb: number;
}

const { model, groups } = (await json(process.stdin)) as { model: string; groups: number };

const { openEngineModel } = await ofCheckout<typeof OpenModel>("policy/local/open-model");
const { Trainer } = await ofCheckout<typeof ForwardBackward>("engine/optim/forward-backward");

/** Of a prompt, of a turn that ends with a search, of what it finds, and of a last turn: a group has 1,740 tokens, of which 620 are different. */
const lengths = { prompt: 120, search: 30, passages: 100, answer: 40 };
/** The first turn of each attempt of a group: all but one search for the same. */
const turns = [0, 0, 0, 0, 0, 1];

let next = 1;
/** Tokens that no other stretch begins with. */
const stretch = (length: number): number[] =>
  Array.from({ length }, () => (next = (next * 48271) % 2147483647) % smolLm2.vocabSize);

function groupOf(): Datum[] {
  const { prompt, search, passages, answer } = lengths;
  const begun = stretch(prompt);
  const searched = [0, 1].map(() => stretch(search + passages));
  return turns.map((turn, attempt) => {
    const tokens_T = [...begun, ...searched[turn], ...stretch(answer)];
    const isOwn = (t: number): boolean => t >= prompt && (t < prompt + search || t >= prompt + search + passages);
    return {
      tokens_T,
      sampledMask_T: Uint8Array.from(tokens_T, (_, t) => Number(isOwn(t))),
      advantages_T: Float32Array.from(tokens_T, (_, t) => (isOwn(t) ? 1 - attempt / 2 : 0)),
      logprobs_T: new Float32Array(tokens_T.length).fill(-10),
    };
  });
}

const data = Array.from({ length: groups }, groupOf).flat();
const opened = await openEngineModel({ model, adapt: "lora", lora, precision: "float32" });
const trainer = new Trainer(opened.model, { ...runtime, microBatchTokens: 2048, plainTokens: 1024 });
const run = (): Promise<unknown> => trainer.forwardBackward(data, { kind: "importance_sampling" });
// Makes the session and takes its memory.
await run();
const times = [await timed(run), await timed(run)];
await trainer.release();
opened.remove();
const figures: TreeFigures = {
  seconds: Math.min(...times),
  peakMb: Math.round(process.resourceUsage().maxRSS / 1024),
};
process.stdout.write(JSON.stringify(figures));
