/** @file An algorithm out of its choices: the parts of this folder, put together. */
import { UserError } from "../errors.js";
import { klCoefficient, makeAdvantages, needsOf } from "./advantages.js";
import type { Algorithm } from "./algorithm.js";
import type { Choices } from "./choices.js";
import { type AlgorithmName, choicesOf } from "./named.js";
import { nextCoefficient } from "./kl.js";
import type { PolicyLoss } from "./losses.js";
import { makeData } from "./make-data.js";
import type { Objective } from "./objective.js";
import { makeRows, withCurrentLogprobs } from "./rows.js";

/**
 * The algorithm of that name, with some of its choices made differently.
 * @throws UserError when choices contradict each other
 */
export function makeAlgorithm(name: AlgorithmName, overrides: Partial<Choices> = {}): Algorithm {
  const given = Object.fromEntries(Object.entries(overrides).filter(([, value]) => value !== undefined));
  const choices: Choices = { ...choicesOf(name), ...given };
  refuseContradictions(choices);
  return {
    name,
    needs: needsOf(choices),
    initialState: () => (choices.klTarget > 0 ? { klCoefficient: choices.kl } : {}),
    rows: (groups) => makeRows(groups, choices),
    withCurrentLogprobs: (rows, logprobs_D_T) => withCurrentLogprobs(rows, logprobs_D_T, choices),
    advantages: (batch, state) => makeAdvantages(batch, state, choices),
    makeData: (rows) => makeData(rows, choices),
    objective(state): Objective {
      const kl = { coefficient: klCoefficient(choices, state), estimator: choices.klEstimator };
      const hasKl = choices.kl > 0 && choices.klIn === "loss";
      return { loss: lossOf(choices), ...(hasKl ? { kl } : {}), entropy: choices.entropy };
    },
    afterBatch(state, measured) {
      if (choices.klTarget === 0) return state;
      const steering = { target: choices.klTarget, horizon: choices.klHorizon };
      return { ...state, klCoefficient: nextCoefficient(klCoefficient(choices, state), measured, steering) };
    },
  };
}

function lossOf({ loss, clipLow, clipHigh, dualClip }: Choices): PolicyLoss {
  switch (loss) {
    case "ppo":
      return dualClip > 0 ? { kind: "dual-clip", clipLow, clipHigh, dualClip } : { kind: "ppo", clipLow, clipHigh };
    case "importance-sampling":
      return { kind: "importance_sampling" };
    case "cispo":
    case "gspo":
      return { kind: loss, clipLow, clipHigh };
  }
}

/** Choices that are each valid but make no sense together, by the names of their keys in a configuration. */
function refuseContradictions(choices: Choices): void {
  const { dualClip, klTarget, kl, constantTokens, microBatchRows, aggregation } = choices;
  if (dualClip > 0 && (choices.loss !== "ppo" || dualClip <= 1)) {
    throw new UserError(
      `algorithm.dualClip is ${dualClip} with the loss ${choices.loss}: it bounds PPO's loss of tokens with negative advantage at so many ` +
        "times their size, so it goes with algorithm.loss=ppo and is above 1 (3 in its paper). 0 switches it off.",
    );
  }
  if (klTarget > 0 && kl === 0) {
    throw new UserError(
      `algorithm.klTarget is ${klTarget}, but algorithm.kl is 0: the controller multiplies β, and 0 stays 0. ` +
        "Set algorithm.kl to where β should begin, for example 0.001, or drop klTarget.",
    );
  }
  if (aggregation === "constant" && !(constantTokens > 0)) {
    throw new Error(`internal: aggregation constant divides by ${constantTokens} tokens`);
  }
  if (aggregation === "micro-batch-mean" && !(Number.isInteger(microBatchRows) && microBatchRows > 0)) {
    throw new Error(`internal: micro-batches of ${microBatchRows} rows`);
  }
}
