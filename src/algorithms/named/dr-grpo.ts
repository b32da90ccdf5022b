/**
 * @file Dr. GRPO (arXiv:2503.20783, §3.2): GRPO without its two biases. Advantages are not divided by the group's deviation, which made easy
 * and hard questions count more, and a token's weight does not depend on the length of its sequence, which made long wrong answers cheap.
 *
 * 1. The constant is the most tokens of a trajectory (`rollout.maxTokens`). Gradients are small: with clipping by norm and AdamW that matters
 *    little, but a learning rate tuned for another mean does not carry over where clipping is off.
 * 2. Sequences without signal do not count in the divisor.
 */
import type { Choices } from "../choices.js";
import { standard } from "./standard.js";

export const drGrpo: Choices = { ...standard, std: "none", aggregation: "constant" };
