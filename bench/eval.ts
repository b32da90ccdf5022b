/** @file Evaluation: seconds for 1,000 questions, how full the sampler is meanwhile, how busy a server is kept, and the bootstrap over a large set. */
import type { BenchGroup } from "./bench.js";
import { bootstrapSeconds } from "./eval/bootstrap.js";
import { evaluateAtlas } from "./eval/atlas.js";
import { remoteBusy } from "./eval/remote-busy.js";

export const parts = ["1000", "occupancy", "remoteBusy", "bootstrap"];

export const bench: BenchGroup = async (context) => {
  const { report, wants } = context;
  if (wants("1000") || wants("occupancy")) {
    const { seconds, occupancy } = await evaluateAtlas(context);
    if (wants("1000")) report({ name: "eval.1000", value: seconds, unit: "s" });
    if (wants("occupancy")) report({ name: "eval.occupancy", value: occupancy, unit: "share" });
  }
  if (wants("remoteBusy")) await remoteBusy(context);
  if (wants("bootstrap")) report({ name: "eval.bootstrap", value: bootstrapSeconds(context), unit: "s" });
};
