/** @file A process that builds a dense index, stops in the middle and waits to be killed: `build-child.test-support.ts CORPUS OUT`. */
import { WordEncoder } from "../word-encoder.test-support.js";
import { buildDenseIndex } from "./build.js";

const [corpus, out] = process.argv.slice(2);
const encoder = new WordEncoder();
const encode = encoder.encode.bind(encoder);
encoder.encode = async (texts, kind, options) => {
  if (encoder.calls.length === 2) await new Promise((resolve) => setTimeout(resolve, 100_000));
  return encode(texts, kind, options);
};
await buildDenseIndex({
  corpus: [corpus],
  out,
  encoder,
  rowsPerCommit: 256,
  onProgress: ({ passages }) => process.stdout.write(`${passages}\n`),
});
process.stdout.write("done\n");
