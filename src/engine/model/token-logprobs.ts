/**
 * @file Log-probabilities of chosen tokens, and entropies of the distributions that they were chosen from. Under a frozen LM head the
 * vocabulary passes in chunks, and with each chunk what will flow back from it (as in Liger Kernel's fused linear cross-entropy,
 * arXiv:2410.10989; the running maximum is that of arXiv:1805.02867): nothing has the size of all logits, and nothing is computed twice.
 */
import type { Graph } from "../graph/graph.js";
import type { Node } from "../graph/ops.js";
import type { Head } from "./head.js";

/** What is going to be done with the distributions. */
interface Wanted {
  gradients: boolean;
  entropies: boolean;
}

/** The distributions of the next token of each row. */
interface NextTokens {
  /** Natural logarithms (nats) of the probabilities of `tokens [U]`, `[U]`. */
  logprobs(tokens: Node): Node;
  /** −Σ p·log p, `[U]`; only where they are wanted. */
  entropies(): Node;
}

/** With z = logit − `largest`: Σ e^z and Σ z·e^z. Sums over the vocabulary are `[U, 1]`; what flows back from them is `[U, hidden]`. */
interface Sums {
  exps: Node;
  products?: Node;
}

/** Of hidden states behind the final norm, `[U, hidden]`. */
export function nextTokens(g: Graph, head: Head, hidden: Node, wanted: Wanted): NextTokens {
  const { largest, exps, products } = (head.trained ? atOnce : inChunks)(g, head, hidden, wanted);
  // The sums do not depend on what is taken off all logits before.
  const shift = g.stopGradient(largest);
  const perRow = (x: Node): Node => g.reshape(x, [hidden.shape[0]]);
  return {
    logprobs: (tokens) => {
      const normaliser = perRow(g.add(shift, g.log(exps)));
      // The logit and the normaliser are rounded apart, but no probability is more than 1.
      return g.minimum(g.sub(head.logitsOf(hidden, tokens), normaliser), g.scalar(0));
    },
    entropies: () => {
      if (!products) throw new Error("internal: entropies were not announced");
      return perRow(g.sub(g.log(exps), g.div(products, exps)));
    },
  };
}

/** Differentiated by the logits, hence by hidden states and table. */
function atOnce(g: Graph, head: Head, hidden: Node, { entropies }: Wanted): Sums & { largest: Node } {
  const logits = head.logits(hidden, 0);
  const largest = g.reduceMax(logits, [1], true);
  const z = g.sub(logits, largest);
  const exps = g.exp(z);
  const sums: Sums = { exps: g.linearized(total(g, exps), logits, exps) };
  if (entropies) {
    const products = g.mul(z, exps);
    sums.products = g.linearized(total(g, products), logits, g.add(products, exps));
  }
  return { largest, ...sums };
}

/** Of the chunks so far: their largest logit, the sums, and what flows back from them. */
interface Running {
  largest: Node;
  sums: Sums;
  slopes?: Sums;
}

/** Differentiated by the hidden states; the logits of one chunk are in memory at a time. */
function inChunks(g: Graph, head: Head, hidden: Node, wanted: Wanted): Sums & { largest: Node } {
  let all = chunkOf(g, head, hidden, wanted, 0);
  for (let chunk = 1; chunk < head.chunks; chunk++) {
    // A chunk waits until the one before it has been summed.
    const summed = [all.sums, all.slopes].flatMap((sums) => [sums?.exps, sums?.products]);
    const waiting = summed.reduce((x: Node, node) => (node ? g.after(x, node) : x), hidden);
    all = joined(g, all, chunkOf(g, head, waiting, wanted, chunk, all.largest));
  }
  const { largest, sums, slopes } = all;
  if (!slopes) return { largest, ...sums };
  const known: Sums = { exps: g.linearized(sums.exps, hidden, slopes.exps) };
  if (sums.products && slopes.products) {
    known.products = g.linearized(sums.products, hidden, g.add(slopes.products, slopes.exps));
  }
  return { largest, ...known };
}

/** One chunk, relative to the largest logit of it and of those before. */
function chunkOf(
  g: Graph,
  head: Head,
  hidden: Node,
  { gradients, entropies }: Wanted,
  chunk: number,
  before?: Node,
): Running {
  const logits = head.logits(hidden, chunk);
  const own = g.reduceMax(logits, [1], true);
  const largest = before ? g.maximum(before, own) : own;
  const z = g.sub(logits, largest);
  const exps = g.exp(z);
  const products = entropies ? g.mul(z, exps) : undefined;
  const both = (sum: (x: Node) => Node): Sums => ({ exps: sum(exps), products: products && sum(products) });
  return {
    largest,
    sums: both((x) => total(g, x)),
    slopes: gradients ? both((x) => head.weightedRows(x, chunk)) : undefined,
  };
}

/** The sums of two parts, relative to the largest logit of the second, which is the largest of both. */
function joined(g: Graph, first: Running, second: Running): Running {
  const shift = g.sub(first.largest, second.largest);
  const factor = g.exp(shift);
  const join = (a: Sums, b: Sums): Sums => ({
    exps: g.add(g.mul(a.exps, factor), b.exps),
    products: a.products && b.products && g.add(g.mul(g.add(a.products, g.mul(a.exps, shift)), factor), b.products),
  });
  return {
    largest: second.largest,
    sums: join(first.sums, second.sums),
    slopes: first.slopes && second.slopes && join(first.slopes, second.slopes),
  };
}

/** Of each row. */
const total = (g: Graph, x: Node): Node => g.reduceSum(x, [1], true);
