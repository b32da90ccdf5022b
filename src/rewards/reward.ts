/** @file What a reward is: a pure function of a question and an attempt at it. */
import type { Question, Trajectory } from "../types.js";

/** Scores what the policy wrote, never the prompt or an observation (both hold answer tags of their own). */
export type RewardFunction = (question: Question, trajectory: Trajectory) => number;
