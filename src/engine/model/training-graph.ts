/**
 * @file The graphs of training: log-probabilities of chosen tokens, and a loss over them with its gradients. The LM head runs only
 * on the rows that carry loss.
 */
import type { LossSpec } from "../../contracts/policy.js";
import { Graph } from "../graph/graph.js";
import type { Node } from "../graph/ops.js";
import { outputGradients, predictors, type Layout, type TrainingOptions } from "./sequence-layout.js";
import { nextTokens } from "./token-logprobs.js";
import { weightNodes, type EngineModel } from "./weights.js";

/** Which per-token inputs `[M]` and scalar inputs `[]` each loss reads. */
export const lossInputs: Record<LossSpec["kind"], { perToken: readonly LossInput[]; scalars: readonly string[] }> = {
  cross_entropy: { perToken: ["weights"], scalars: [] },
  importance_sampling: { perToken: ["advantages", "oldLogprobs"], scalars: [] },
  ppo: { perToken: ["advantages", "oldLogprobs"], scalars: ["ratioLow", "ratioHigh"] },
  cispo: { perToken: ["advantages", "oldLogprobs"], scalars: ["ratioLow", "ratioHigh"] },
};
export type LossInput = "weights" | "advantages" | "oldLogprobs";

/** How the graph of a loss is built. */
interface LossGraphOptions extends TrainingOptions {
  /** Adds an entropy bonus: −Σ weight·H. Default false. */
  entropy?: boolean;
}

/**
 * Inputs: those of the layout (`predictors`), `targets [U]` (the token that each position predicts), every trained parameter by name.
 * Output: `logprobs [M]`.
 */
export function logprobGraph(model: EngineModel, layout: Layout = "plain"): Graph {
  const g = new Graph();
  const weights = weightNodes(g, model);
  const { hidden, perToken } = predictors(g, model, weights, layout);
  const next = nextTokens(g, weights.head, hidden, { gradients: false, entropies: false });
  g.output("logprobs", perToken(next.logprobs(targets(g))));
  return g;
}

/**
 * As `logprobGraph`, with the loss's inputs besides. Outputs: `logprobs`, `loss []` and `gradient:NAME` of what is trained. With an
 * entropy bonus also the input `entropyWeights [M]` and the output `entropies [M]`.
 */
export function trainingGraph(
  model: EngineModel,
  loss: LossSpec["kind"],
  { layout = "plain", recompute = false, entropy = false }: LossGraphOptions = {},
): Graph {
  const g = new Graph();
  const weights = weightNodes(g, model);
  const { hidden, perToken, segments } = predictors(g, model, weights, layout);
  const next = nextTokens(g, weights.head, hidden, { gradients: true, entropies: entropy });
  const logprobs = perToken(next.logprobs(targets(g)));
  const main = lossNode(g, loss, logprobs);
  g.output("logprobs", logprobs);
  let total = main;
  if (entropy) {
    const entropies = perToken(next.entropies());
    total = g.sub(main, g.reduceSum(g.mul(g.input("entropyWeights", ["M"]), entropies), [0]));
    g.output("entropies", entropies);
  }
  outputGradients(g, model, { loss: total, weights, segments, recompute });
  return g;
}

const targets = (g: Graph): Node => g.input("targets", ["U"], "int32");

/** The summed loss; formulas in `LossSpec`. */
function lossNode(g: Graph, kind: LossSpec["kind"], logprobs: Node): Node {
  const perToken = (name: LossInput): Node => g.input(name, ["M"]);
  const total = (x: Node): Node => g.neg(g.reduceSum(x, [0]));
  if (kind === "cross_entropy") return total(g.mul(perToken("weights"), logprobs));
  const advantages = perToken("advantages");
  const ratio = g.exp(g.sub(logprobs, perToken("oldLogprobs")));
  if (kind === "importance_sampling") return total(g.mul(ratio, advantages));
  const clipped = g.minimum(g.maximum(ratio, g.input("ratioLow", [])), g.input("ratioHigh", []));
  if (kind === "ppo") return total(g.minimum(g.mul(ratio, advantages), g.mul(clipped, advantages)));
  return total(g.mul(g.mul(g.stopGradient(clipped), advantages), logprobs));
}
