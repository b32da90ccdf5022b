/**
 * @file The graphs of training: log-probabilities of chosen tokens, and a loss over them with its gradients. The LM head runs only
 * on the rows that carry loss.
 */
import type { LossSpec } from "../../policy/policy.js";
import { gradients } from "../autodiff/gradients.js";
import { Graph } from "../graph/graph.js";
import type { Node } from "../graph/ops.js";
import { causalAttention, finalNorm, headTable, transformer } from "./llama.js";
import { weightNodes, type EngineModel, type Weights } from "./weights.js";

/** Which per-token inputs `[M]` and scalar inputs `[]` each loss reads. */
export const lossInputs: Record<LossSpec["kind"], { perToken: readonly LossInput[]; scalars: readonly string[] }> = {
  cross_entropy: { perToken: ["weights"], scalars: [] },
  importance_sampling: { perToken: ["advantages", "oldLogprobs"], scalars: [] },
  ppo: { perToken: ["advantages", "oldLogprobs"], scalars: ["ratioLow", "ratioHigh"] },
  cispo: { perToken: ["advantages", "oldLogprobs"], scalars: ["ratioLow", "ratioHigh"] },
};
export type LossInput = "weights" | "advantages" | "oldLogprobs";

const dims = { batch: "B", length: "L" } as const;

/**
 * Inputs: `tokens [B, L]`, `rows [M]` (row·L + t of the position that predicts), `targets [M]` (the token predicted),
 * every trained parameter by name. Output: `logprobs [M]`.
 */
export function logprobGraph(model: EngineModel): Graph {
  const g = new Graph();
  g.output("logprobs", targetLogprobs(g, model, weightNodes(g, model)));
  return g;
}

/** As `logprobGraph`, with the loss's inputs besides. Outputs: `logprobs`, `loss []` and `gradient:NAME` of what is trained. */
export function trainingGraph(model: EngineModel, loss: LossSpec["kind"]): Graph {
  const g = new Graph();
  const weights = weightNodes(g, model);
  const logprobs = targetLogprobs(g, model, weights);
  const total = lossNode(g, loss, logprobs);
  const names = model.trainable.shapes.map(({ name }) => name);
  const all = gradients(g, total, names.map(weights.get));
  g.output("logprobs", logprobs);
  g.output("loss", total);
  names.forEach((name, index) => g.output(`gradient:${name}`, all[index]));
  return g;
}

function targetLogprobs(g: Graph, { config }: EngineModel, weights: Weights): Node {
  const tokens = g.input("tokens", [dims.batch, dims.length], "int32");
  const rows = g.input("rows", ["M"], "int32");
  const targets = g.input("targets", ["M"], "int32");
  const order = g.reshape(g.iota(dims.length), [1, dims.length]);
  const positions = g.expand(order, [dims.batch, dims.length]);
  const hidden = transformer(g, config, weights, { tokens, positions, dims, attend: causalAttention(g, config, dims) });
  const normed = finalNorm(g, config, weights, g.gatherRows(hidden, rows));
  return g.tokenLogprobs(normed, headTable(config, weights), targets);
}

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
