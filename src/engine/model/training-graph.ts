/**
 * @file The graphs of training: log-probabilities of chosen tokens, and a loss over them with its gradients. The LM head runs only
 * on the rows that carry loss.
 */
import type { LossSpec } from "../../policy/policy.js";
import { gradients, type Segment } from "../autodiff/gradients.js";
import { product } from "../graph/dim.js";
import { Graph } from "../graph/graph.js";
import type { Node } from "../graph/ops.js";
import { causalAttention, prefixedAttention, type Attend } from "./attention.js";
import type { ModelConfig } from "./config.js";
import { finalNorm, headTable, transformer } from "./llama.js";
import { weightNodes, type EngineModel, type Weights } from "./weights.js";

/** Which per-token inputs `[M]` and scalar inputs `[]` each loss reads. */
export const lossInputs: Record<LossSpec["kind"], { perToken: readonly LossInput[]; scalars: readonly string[] }> = {
  cross_entropy: { perToken: ["weights"], scalars: [] },
  importance_sampling: { perToken: ["advantages", "oldLogprobs"], scalars: [] },
  ppo: { perToken: ["advantages", "oldLogprobs"], scalars: ["ratioLow", "ratioHigh"] },
  cispo: { perToken: ["advantages", "oldLogprobs"], scalars: ["ratioLow", "ratioHigh"] },
};
export type LossInput = "weights" | "advantages" | "oldLogprobs";

/**
 * How sequences are laid out. `plain`: `tokens [B, L]`. `shared`: sequences `tokens [N, S, L]` behind prefixes that the S of a group
 * share and that are computed once, `prefixTokens [N, P]` with `prefixLengths [N]`.
 */
export type Layout = "plain" | "shared";

/** How a graph of training is built. */
export interface TrainingOptions {
  layout?: Layout;
  /** Compute the activations of each block again in the backward pass: far less memory for one more forward pass. */
  recompute?: boolean;
}

/**
 * Inputs: those of the layout, `rows [M]` (sequence·L + t of the position that predicts), `targets [M]` (the token
 * predicted), every trained parameter by name. Output: `logprobs [M]`.
 */
export function logprobGraph(model: EngineModel): Graph {
  const g = new Graph();
  g.output("logprobs", targetLogprobs(g, model, weightNodes(g, model), "plain").logprobs);
  return g;
}

/** As `logprobGraph`, with the loss's inputs besides. Outputs: `logprobs`, `loss []` and `gradient:NAME` of what is trained. */
export function trainingGraph(
  model: EngineModel,
  loss: LossSpec["kind"],
  { layout = "plain", recompute = false }: TrainingOptions = {},
): Graph {
  const g = new Graph();
  const weights = weightNodes(g, model);
  const { logprobs, blocks } = targetLogprobs(g, model, weights, layout);
  const total = lossNode(g, loss, logprobs);
  const names = model.trainable.shapes.map(({ name }) => name);
  const all = gradients(g, total, names.map(weights.get), { recomputed: recompute ? blocks : [] });
  g.output("logprobs", logprobs);
  g.output("loss", total);
  names.forEach((name, index) => g.output(`gradient:${name}`, all[index]));
  return g;
}

function targetLogprobs(
  g: Graph,
  { config }: EngineModel,
  weights: Weights,
  layout: Layout,
): { logprobs: Node; blocks: Segment[] } {
  const blocks: Segment[] = [];
  const hidden = (layout === "plain" ? plainHidden : sharedHidden)(g, config, weights, blocks);
  const rows = g.input("rows", ["M"], "int32");
  const targets = g.input("targets", ["M"], "int32");
  const normed = finalNorm(g, config, weights, g.gatherRows(hidden, rows));
  return { logprobs: g.tokenLogprobs(normed, headTable(config, weights), targets), blocks };
}

/** `[B·L, hidden]` */
function plainHidden(g: Graph, config: ModelConfig, weights: Weights, blocks: Segment[]): Node {
  const dims = { batch: "B", length: "L" };
  const tokens = g.input("tokens", ["B", "L"], "int32");
  const attend = causalAttention(g, config, dims);
  const positions = firstPositions(g, "B", "L");
  return transformer(g, config, weights, {
    tokens,
    positions,
    dims,
    attend,
    onBlock: (_, block) => blocks.push(block),
  });
}

/** `[N·S·L, hidden]`: of the sequences, not of the prefixes, whose last layer gives keys and values and nothing more. */
function sharedHidden(g: Graph, config: ModelConfig, weights: Weights, blocks: Segment[]): Node {
  const keys: Node[] = [];
  const values: Node[] = [];
  const prefixDims = { batch: "N", length: "P" };
  const causal = causalAttention(g, config, prefixDims);
  const keepHeads: Attend = (layer, heads) => {
    keys.push(heads.keys);
    values.push(heads.values);
    return causal(layer, heads);
  };
  const prefixTokens = g.input("prefixTokens", ["N", "P"], "int32");
  const positions = firstPositions(g, "N", "P");
  transformer(g, config, weights, {
    tokens: prefixTokens,
    positions,
    dims: prefixDims,
    attend: keepHeads,
    onBlock: (_, block) => blocks.push(block),
  });

  const lengths = g.input("prefixLengths", ["N"], "int32");
  const dims = { batch: product(["N", "S"]), length: "L" };
  const tokens = g.reshape(g.input("tokens", ["N", "S", "L"], "int32"), [dims.batch, "L"]);
  const offsets = g.reshape(g.expand(g.reshape(lengths, ["N", 1]), ["N", "S"]), [dims.batch, 1]);
  const attend = prefixedAttention(g, config, "L", { groups: "N", copies: "S", length: "P", lengths, keys, values });
  const after = g.add(offsets, g.reshape(g.iota("L"), [1, "L"]));
  return transformer(g, config, weights, {
    tokens,
    positions: after,
    dims,
    attend,
    onBlock: (layer, { inputs, ...range }) =>
      blocks.push({ ...range, inputs: [...inputs, keys[layer], values[layer]] }),
  });
}

/** 0, 1, 2, … in every row. */
function firstPositions(g: Graph, rows: string, length: string): Node {
  return g.expand(g.reshape(g.iota(length), [1, length]), [rows, length]);
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
