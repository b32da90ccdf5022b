/** @file `sleuth bench`: the measurements of the repository's bench/ folder. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { UserError } from "../errors.js";
import type { Verb } from "./verb.js";

const benchFile = fileURLToPath(new URL("../../bench/main.ts", import.meta.url));

export const benchVerb: Verb = {
  name: "bench",
  summary: "measure speed and memory (in a clone)",
  description:
    "Measures speed and memory. One line per measurement; with --json, one JSON object per line. The benches are part of the repository, not of the package.",
  examples: [
    ["sleuth bench", "everything; some minutes"],
    ["sleuth bench engine search --json", "two groups, for a program to read"],
  ],
  configure: (command) => command.argument("[groups...]", "which groups; without any, all"),
  async run(terminal, _options, [groups]) {
    if (!existsSync(benchFile))
      throw new UserError("The benches are not part of the package. Clone the repository and run: npm run bench");
    const args = ["--import", "tsx", benchFile, ...(groups as string[]), ...(terminal.json ? ["--json"] : [])];
    const child = spawn(process.execPath, args, { stdio: "inherit" });
    const exitStatus = await new Promise<number>((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", (code) => resolve(code ?? 1));
    });
    return { groups, exitStatus };
  },
};
