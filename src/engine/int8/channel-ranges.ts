/** @file How large the inputs of a model's linear layers get: what there is to know before they become 8-bit numbers. */
import { Graph } from "../graph/graph.js";
import type { Node } from "../graph/ops.js";
import { headInput, type ChannelRanges } from "../model/int8.js";
import { predictors } from "../model/sequence-layout.js";
import { parameterFeeds, weightNodes, type EngineModel } from "../model/weights.js";
import { lower } from "../onnx/lower.js";
import { Session, type RuntimeOptions } from "../runtime/session.js";

/** Output per input of linear layers, by the module that it is known by: the largest magnitude of each channel, `[inputs]`. */
export function channelRangesGraph(model: EngineModel): Graph {
  const g = new Graph();
  const weights = weightNodes(g, model);
  const output = (name: string, x: Node): void => g.output(name, g.reduceMax(g.maximum(x, g.neg(x)), [0]));
  const watched = {
    ...weights,
    linears: (x: Node, modules: readonly string[]): Node[] => {
      output(modules[0], x);
      return weights.linears(x, modules);
    },
  };
  const { hidden } = predictors(g, model, watched, "plain");
  output(headInput(model.config).input, hidden);
  return g;
}

/**
 * The ranges over some texts, from the first token on: it has the largest outliers of all.
 * @param model in float32
 * @param texts token ids, as the model will read them
 */
export async function measureChannelRanges(
  model: EngineModel,
  texts: readonly (readonly number[])[],
  options: RuntimeOptions,
): Promise<ChannelRanges> {
  const session = await Session.create(lower(channelRangesGraph(model)), { ...options, prepack: false }, () => {});
  const ranges = new Map<string, Float32Array>();
  try {
    for (const text of texts) {
      const tokens = text.slice(0, model.config.maxPositions);
      const outputs = await session.run({ ...parameterFeeds(model.trainable), ...plainFeeds(tokens) });
      for (const [name, largest] of Object.entries(outputs)) {
        const known = ranges.get(name);
        if (known) largest.forEach((value, channel) => (known[channel] = Math.max(known[channel], value)));
        else ranges.set(name, largest);
      }
    }
  } finally {
    await session.release();
  }
  return ranges;
}

/** One sequence, all of whose positions are looked at. */
function plainFeeds(tokens: readonly number[]) {
  const rows = Int32Array.from(tokens, (_, position) => position);
  return {
    tokens0: { data: Int32Array.from(tokens), dims: [1, tokens.length] },
    rows: { data: rows, dims: [rows.length] },
  };
}
