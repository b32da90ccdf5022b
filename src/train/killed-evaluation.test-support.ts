/** @file The tiny evaluation as a process of its own, for the test that kills it: `killed-evaluation.test-support.ts FOLDER`. Says each attempt it has on file. */
import { setTimeout as delay } from "node:timers/promises";
import type { Policy } from "../contracts/policy.js";
import { evaluateOnce } from "./evaluate.js";
import { tinyEvaluation } from "./tiny-run.test-support.js";

const { config, options } = tinyEvaluation();
const { policy } = options;
const slow: Policy = {
  ...policy,
  sample: async (prefix_T, sampling) => {
    await delay(2);
    return policy.sample(prefix_T, sampling);
  },
};
const { wasFinished } = await evaluateOnce(config, {
  ...options,
  policy: slow,
  out: process.argv[2],
  onRecord: (_, done) => void process.stdout.write(`${done}\n`),
});
process.stdout.write(`finished ${wasFinished}\n`);
