/** @file Where tests find the one real model that is small enough for them, and why they are skipped without it. */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** SmolLM2-135M-Instruct as GGUF: the variable SLEUTH_SMOLLM2, else what `npm run fixtures:smollm2` fetches. */
export const smollm2 =
  process.env.SLEUTH_SMOLLM2 ??
  fileURLToPath(new URL("../../../.cache/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", import.meta.url));

export const smollm2IsAbsent = !existsSync(smollm2);

/** For the titles of tests that need the model. */
export const smollm2Reason = smollm2IsAbsent ? " (skipped: npm run fixtures:smollm2 fetches the model)" : "";
