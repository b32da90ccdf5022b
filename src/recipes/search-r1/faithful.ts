/** @file The faithful mode (`--faithful`): every switch, on. docs/papers.md says where each difference stands and why ours differs. */
import type { Config } from "../../train/config/config.js";

/** A switch that is missing here does not compile. */
export const faithful: Config["faithful"] = {
  observations: true,
  // Attempts per micro-batch on one of eight cards: 64 / 8.
  microBatchMean: 8,
  groupOfOne: true,
  groupByIndex: true,
  trainerRatios: true,
  firstStepAtZero: true,
  oneStepLess: true,
  textScoring: true,
  cutObservations: true,
  searchTagFirst: true,
  dropEndOfText: true,
  noStartToken: true,
};
