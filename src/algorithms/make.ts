/** @file An algorithm out of its choices: the parts of this folder, put together. */
import { klCoefficient, makeAdvantages, needsOf } from "./advantages.js";
import type { Algorithm, Objective } from "./algorithm.js";
import type { Choices } from "./choices.js";
import { type AlgorithmName, choicesOf } from "./named.js";
import { refuseContradictoryChoices } from "./contradictions.js";
import { nextCoefficient } from "./kl.js";
import type { PolicyLoss } from "./losses.js";
import { makeData } from "./make-data.js";
import { makeRows, withCurrentLogprobs } from "./rows.js";

/**
 * The algorithm of that name, with some of its choices made differently.
 * @throws UserError when choices contradict each other
 */
export function makeAlgorithm(name: AlgorithmName, overrides: Partial<Choices> = {}): Algorithm {
  const given = Object.fromEntries(Object.entries(overrides).filter(([, value]) => value !== undefined));
  const choices: Choices = { ...choicesOf(name), ...given };
  refuseContradictoryChoices(choices);
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
