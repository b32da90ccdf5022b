/**
 * @file GRPO (arXiv:2402.03300, eq. 3) as Search-R1 uses it (arXiv:2503.09516, eq. 4): clipped surrogate on group-relative advantages,
 * retrieved tokens masked.
 *
 * 1. The standard deviation is the sample one (n − 1).
 * 2. The mean is over all policy tokens of the update, not over each sequence. `aggregation: "sequence-mean"` is the paper's form.
 * 3. No KL unless it is asked for (`kl: 0.001` is Search-R1's): it costs a second model's forward pass and a loss in two passes.
 * 4. Groups without variance are left out and counted, unless a KL or an entropy bonus is used: those hold for them too.
 * 5. A group of one gets advantage 0 (see `advantage/group.ts`).
 * 6. Trajectories that were cancelled or whose search engine failed are neither compared nor trained on.
 */
import type { Choices } from "../choices.js";
import { standard } from "./standard.js";

export const grpo: Choices = standard;
