/** @file Values and the value loss over data of any size: micro-batches in, values and accumulated gradients out. */
import type { ValueDatum, ValueLoss, ValueResult } from "../../contracts/critic.js";
import { valueGraph, valueTrainingGraph } from "../model/value-model.js";
import type { EngineModel } from "../model/weights.js";
import { maskedRow, perPosition, scatterRows, zerosFor } from "./sequence-row.js";
import { SequenceRunner, type TrainerOptions } from "./sequence-runner.js";

/** A value function's own `Trainer` (the graphs of `model/value-model.ts`). Nothing is updated here; see `AdamW`. */
export class ValueTrainer extends SequenceRunner {
  /** @param model as `createValueModel` makes it */
  constructor(model: EngineModel, options: TrainerOptions) {
    // Without logits only tokens need a bound.
    super(model, options, Infinity);
  }

  /** V_t wherever a mask is 1, without masks everywhere but at index 0: one array of the sequence's length for each sequence. */
  async values(sequences: readonly (readonly number[])[], masks_D_T?: readonly Uint8Array[]): Promise<Float32Array[]> {
    const rows = sequences.map((tokens_T, index) => maskedRow(tokens_T, masks_D_T?.[index]));
    const result = zerosFor(rows);
    await this.run({
      kind: "values",
      graph: (layout) => valueGraph(this.model, layout),
      rows,
      onOutputs: (indices, { values }) => scatterRows(rows, indices, values, result),
    });
    return result;
  }

  /** Adds the gradient of the value loss, summed over all data, to `gradients`. */
  async forwardBackward(data_D: readonly ValueDatum[], { clip }: ValueLoss): Promise<ValueResult> {
    const rows = data_D.map(({ tokens_T, mask_T }) => maskedRow(tokens_T, mask_T));
    const values_D_T = zerosFor(rows);
    let loss = 0;
    await this.run({
      kind: "value loss",
      graph: (layout) => valueTrainingGraph(this.model, { layout, recompute: this.recompute }),
      rows,
      feeds: (indices) => ({
        returns: perPosition(rows, indices, (index) => data_D[index].returns_T),
        oldValues: perPosition(rows, indices, (index) => data_D[index].oldValues_T),
        weights: perPosition(rows, indices, (index) => data_D[index].weights_T),
        clip: { data: Float32Array.of(clip === 0 ? Infinity : clip), dims: [] },
      }),
      onOutputs: (indices, outputs) => {
        loss += outputs.loss[0];
        scatterRows(rows, indices, outputs.values, values_D_T);
        this.accumulate(outputs);
      },
    });
    return { loss, values_D_T };
  }
}
