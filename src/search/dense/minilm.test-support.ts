/** @file Where tests and the bench find the one real encoder that is small enough for them, and why they are skipped without it. */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** all-MiniLM-L6-v2 as a folder: the variable SLEUTH_MINILM, else what `npm run fixtures:minilm` fetches. */
export const minilm = process.env.SLEUTH_MINILM ?? fileURLToPath(new URL("../../../.cache/minilm", import.meta.url));

export const minilmIsAbsent = !existsSync(minilm);

/** For the titles of tests that need the model. */
export const minilmReason = minilmIsAbsent ? " (skipped: npm run fixtures:minilm fetches the model)" : "";
