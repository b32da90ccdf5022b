/**
 * @file 8-bit frozen weights against float32 ones, on the recipe of SmolLM2: `npm run results:int8` makes the runs and writes docs/results/int8.md.
 * Resumable: a stage that is done is kept in the folder.
 */
import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { sourceCommit } from "../src/train/run-folder.js";
import { renderPage } from "./int8/page.js";
import { readSeries, sizes, stagesIn } from "./int8/series.js";
import { doStages, orTell } from "./stages.js";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const note = (text: string): void => void process.stderr.write(`${text}\n`);

const program = new Command("results:int8")
  .description(
    `One warm-up, then ${sizes.full.steps} steps of GRPO in each precision with seeds ${sizes.full.seeds.join(" and ")}, then their tests on ${sizes.full.test} questions; writes docs/results/int8.md. ` +
      "Needs SmolLM2 (npm run fixtures:smollm2). What is finished is kept: the same command goes on where it was stopped.",
  )
  .option("--quick", "every stage in small, in FOLDER/quick, to see that each works; the page is written there")
  .option("--folder <folder>", "where the runs are", join(".cache", "int8"))
  .action(async ({ quick, folder }: { quick?: true; folder: string }) => {
    const size = quick ? sizes.quick : sizes.full;
    const place = quick ? join(folder, "quick") : folder;
    const page = quick ? join(place, "int8.md") : join(root, "docs", "results", "int8.md");
    await orTell(note, async () => {
      const records = await doStages(stagesIn(place, size), {
        folder: place,
        commit: sourceCommit() ?? "unknown",
        program: join(root, "bin", "sleuth.js"),
        note,
      });
      const command = `npm run results:int8${quick ? " -- --quick" : ""}`;
      writeFileSync(page, renderPage(await readSeries(place, records, size), command));
      note(`wrote ${page}`);
    });
  });
await program.parseAsync();
