/** @file The command line straight from the sources: what `bin/sleuth.js` is to the build. */
import { register } from "tsx/esm/api";

register();
const { main } = await import("../src/cli/main.ts");
await main(process.argv.slice(2));
