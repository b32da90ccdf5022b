/** @file A process that builds a dense index slowly, to be killed: `build-child.test-support.ts CORPUS OUT`. */
import { WordEncoder } from "../word-encoder.test-support.js";
import { buildDenseIndex } from "./build.js";

const [corpus, out] = process.argv.slice(2);
await buildDenseIndex({
  corpus: [corpus],
  out,
  encoder: new WordEncoder({ waitMs: 40 }),
  rowsPerCommit: 256,
  onProgress: ({ passages }) => process.stdout.write(`${passages}\n`),
});
process.stdout.write("done\n");
