/** @file The tiny run as a process of its own, for the test that kills it: `killed-run.test-support.ts FOLDER`. Says each step it has completed. */
import { tinyConfig, tinyParts } from "./tiny-run.test-support.js";
import { train } from "./train.js";

const result = await train(tinyConfig(process.argv[2], { steps: 16 }), {
  ...tinyParts(),
  onEvent: (event) => {
    if (event.kind === "step") process.stdout.write(`${event.step}\n`);
  },
});
process.stdout.write(`${result.status}\n`);
