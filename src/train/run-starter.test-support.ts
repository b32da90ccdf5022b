/**
 * @file A process that starts new runs together with others: for each line of its input, `FOLDER`, it opens that run and answers "mine", or why
 * not. It keeps what it got until its input ends.
 */
import { createInterface } from "node:readline";
import { parseConfig } from "./config/config.js";
import { openRun } from "./run-folder.js";

process.stdout.write("ready\n");
for await (const folder of createInterface({ input: process.stdin })) {
  const said = await openRun(folder, parseConfig({ run: { folder } })).then(
    ({ existed }) => (existed ? "continued" : "mine"),
    (error: Error) => (error.message.includes("is being written by process") ? "busy" : error.message),
  );
  process.stdout.write(`${said}\n`);
}
