/** @file The command line straight from the sources: what `bin/sleuth.js` is to the build. Tests have the sources as JavaScript. */
import { pathToFileURL } from "node:url";

const { SLEUTH_TRANSPILED: transpiled } = process.env;
if (transpiled === undefined) (await import("tsx/esm/api")).register();
const { main } = await import(
  transpiled === undefined ? "../src/cli/main.ts" : pathToFileURL(`${transpiled}/cli/main.js`).href
);
await main(process.argv.slice(2));
