/**
 * @file The real run: SmolLM2-135M-Instruct learns to answer questions that people asked. `npm run results:real` makes every stage and writes
 * docs/results/real-questions.md. Resumable: a stage that is done is kept in the folder, and one that was begun goes on.
 */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { UserError } from "../src/errors.js";
import { sourceCommit } from "../src/train/run-folder.js";
import { writePage } from "./real-questions/page.js";
import { sizes, stagesIn, writeParts } from "./real-questions/stages.js";
import { doStages, orTell } from "./stages.js";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const note = (text: string): void => void process.stderr.write(`${text}\n`);

interface Options {
  quick?: true;
  folder: string;
  questions: string;
}

const program = new Command("results:real")
  .description(
    "Index, transcripts, warm-up, reinforcement with two seeds, tests and controls on the laptop set; writes docs/results/real-questions.md. Needs npm run fixtures:real-questions and npm run fixtures:smollm2. " +
      "What is finished is kept: the same command goes on where it was stopped.",
  )
  .option("--quick", "every stage in small, in FOLDER/quick, to see that each works; the page is written there")
  .option("--folder <folder>", "where everything is made", join(".cache", "real-run"))
  .option("--questions <folder>", "where the laptop set is", join(".cache", "real-questions"))
  .action(async ({ quick, folder: whole, questions: set }: Options) => {
    const size = quick ? sizes.quick : sizes.full;
    const folder = quick ? join(whole, "quick") : whole;
    await orTell(note, async () => {
      if (!existsSync(join(set, "corpus.jsonl")))
        throw new UserError(`The laptop set is not in ${set}: \`npm run fixtures:real-questions\` makes it.`);
      await writeParts(folder, set, size);
      const records = await doStages(stagesIn(folder, set, size), {
        ...{ folder, note },
        commit: sourceCommit() ?? "unknown",
        program: join(root, "bin", "sleuth.js"),
      });
      const page = join(quick ? folder : join(root, "docs", "results"), "real-questions.md");
      await writePage(page, { folder, records, size, command: `npm run results:real${quick ? " -- --quick" : ""}` });
      note(`wrote ${page}`);
    });
  });
await program.parseAsync();
