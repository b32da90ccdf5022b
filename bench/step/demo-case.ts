/** @file The demo's training, steps alone and no tests, in a process of its own, by the modules of the checkout that the process runs in. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { json } from "node:stream/consumers";
import type * as Recipe from "../../src/recipes/search-r1/recipe.js";
import type * as Config from "../../src/train/config/config.js";
import type * as Train from "../../src/train/train.js";
import { ofCheckout } from "../of-checkout.js";

export interface DemoFigures {
  /** Of all steps, without evaluation and checkpoints. */
  seconds: number;
}

const { steps } = (await json(process.stdin)) as { steps: number };
const { atlasDemo } = await ofCheckout<typeof Recipe>("recipes/search-r1/recipe");
const { mergeConfig } = await ofCheckout<typeof Config>("train/config/config");
const { train } = await ofCheckout<typeof Train>("train/train");

const folder = mkdtempSync(path.join(tmpdir(), "sleuth-bench-"));
let seconds = 0;
try {
  const settings = { steps, testSize: 0, evalEvery: 0, evalSize: 1, checkpointEvery: 1000 };
  const config = mergeConfig(atlasDemo, { train: settings, run: { folder: path.join(folder, "run") } });
  await train(config, {
    onEvent: (event) => {
      if (event.kind === "step") seconds += event.metrics["time/step"] ?? 0;
    },
  });
} finally {
  rmSync(folder, { recursive: true, force: true });
}
const figures: DemoFigures = { seconds };
process.stdout.write(JSON.stringify(figures));
