/**
 * @file The contract of a critic: a value function over token prefixes, on a trunk of its own (another adapter over the same frozen
 * weights, or another copy of all of them). An engine that has one hands it out as `Policy.critic`; PPO is its only customer.
 */
import type { AdamOptions, OptimStepResult } from "./policy.js";

/** One sequence with what its values should become. All arrays are aligned with `tokens_T`; index 0 never has a value. */
export interface ValueDatum {
  tokens_T: readonly number[];
  /** 1 where a value is wanted: V_t is read from the tokens before t, before token t is chosen. */
  mask_T: Uint8Array;
  /** What V_t should be. */
  returns_T: Float32Array;
  /** V_t when the advantages were made: value clipping keeps the new one near it. */
  oldValues_T: Float32Array;
  /** Share of each token in the aggregate. */
  weights_T: Float32Array;
}

export interface ValueLoss {
  /** Most that a value may move from the old one before it stops counting (PPO2's value clipping); 0 switches clipping off. */
  clip: number;
}

export interface ValueResult {
  /** ½ Σ weight·max((V − R)², (clip(V, V_old ± clip) − R)²), or ½ Σ weight·(V − R)² without clipping. */
  loss: number;
  /** Current values, 0 where none is wanted. */
  values_D_T: Float32Array[];
}

export interface Critic {
  /** V_t wherever `masks_D_T` is 1 (0 elsewhere); without masks everywhere but at index 0. */
  values(sequences: readonly (readonly number[])[], masks_D_T?: readonly Uint8Array[]): Promise<Float32Array[]>;

  /** Adds the gradient of the value loss to the critic's accumulated gradient. */
  forwardBackward(data_D: readonly ValueDatum[], loss: ValueLoss): Promise<ValueResult>;

  /** One step of the critic's own optimizer with its accumulated gradient, which is then cleared. */
  optimStep(options: AdamOptions): Promise<OptimStepResult>;

  /** Writes the critic and its optimizer into a new folder (the caller makes it atomic). */
  save(folder: string): Promise<void>;

  /** Restores what `save` wrote. */
  load(folder: string): Promise<void>;
}
