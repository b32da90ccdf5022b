/** @file Rotary frequencies (RoPE, arXiv:2104.09864) and how models of longer contexts stretch them. */
import type { ModelConfig } from "./config.js";

/**
 * How the rotary frequencies differ from theta^(−2i/headDim). `linear` divides all of them (arXiv:2306.15595). `llama3` leaves the
 * fast ones, divides the slow ones, and goes from one to the other in between, as Llama 3.1 does.
 */
export type RopeScaling =
  | { type: "linear"; factor: number }
  | {
      type: "llama3";
      factor: number;
      /** Frequencies that turn less often than this within the original context are divided by `factor`. */
      lowFrequencyFactor: number;
      /** Frequencies that turn more often than this within the original context stay. */
      highFrequencyFactor: number;
      originalMaxPositions: number;
    };

/** Radians per position of each of the headDim/2 rotated pairs. */
export function rotaryFrequencies(config: Pick<ModelConfig, "headDim" | "ropeTheta" | "ropeScaling">): Float64Array {
  const { headDim, ropeTheta, ropeScaling } = config;
  return Float64Array.from({ length: headDim / 2 }, (_, pair) => {
    const frequency = ropeTheta ** (-(2 * pair) / headDim);
    return ropeScaling ? frequency / stretch(ropeScaling, frequency) : frequency;
  });
}

/** What a frequency is divided by. */
function stretch(scaling: RopeScaling, frequency: number): number {
  if (scaling.type === "linear") return scaling.factor;
  const { factor, lowFrequencyFactor: low, highFrequencyFactor: high, originalMaxPositions } = scaling;
  const turns = (originalMaxPositions * frequency) / (2 * Math.PI);
  const smooth = Math.min(1, Math.max(0, (turns - low) / (high - low)));
  return 1 / ((1 - smooth) / factor + smooth);
}
