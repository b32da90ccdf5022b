/**
 * @file CISPO (MiniMax-M1, arXiv:2506.13585, eq. 4): group advantages, clipped ratios as weights that carry no gradient, so that no token stops
 * learning; the mean over all tokens; no KL.
 *
 * 1. No lower bound, as in the paper (clipLow 1: ratios are positive).
 * 2. The paper prints no upper bound; ratios are cut at 5 (clipHigh 4), what ScaleRL (arXiv:2510.13786) settled on.
 */
import type { Choices } from "../choices.js";
import { standard } from "./standard.js";

export const cispo: Choices = { ...standard, loss: "cispo", clipLow: 1, clipHigh: 4 };
