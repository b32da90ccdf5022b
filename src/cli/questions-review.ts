/** @file `sleuth questions review`: a page where a person strikes bad questions. */
import { onAbort } from "../async.js";
import { openEngine } from "../search/open.js";
import { serveReview } from "../synthesis/questions/review.js";
import { evidenceTexts } from "../synthesis/questions/evidence-texts.js";
import type { Passages } from "../synthesis/questions/corpus.js";
import { withInterrupt } from "./interrupt.js";
import { integer } from "./run-options.js";
import { withEngine } from "./search-engines.js";
import { plural } from "./terminal/format.js";
import type { Verb } from "./verb.js";

export const questionsReviewVerb: Verb = {
  name: "review",
  summary: "read made questions in a browser, and strike bad ones",
  description:
    "Serves a page on this machine alone, with every question of a folder that sleuth questions make has written. What is struck leaves its file at once, stands in struck.jsonl, can be put back, and is not made again. Ctrl-C ends it; nothing is lost.",
  examples: [
    ["sleuth questions review questions", "open the address that it prints"],
    ["sleuth questions review questions --index index", "with the passages beside the questions"],
  ],
  configure: (command) => {
    command
      .argument("<folder>", "made by sleuth questions make")
      .option("--index <folder>", "show the passages that the questions were made from")
      .option("--port <number>", "port; 0 for any free one", integer(0), 0);
  },
  async run(terminal, given, [folder]) {
    const { port, index } = given as unknown as { port: number; index?: string };
    const texts = index === undefined ? new Map<string, string>() : await textsOf(folder as string, index);
    const review = await serveReview(folder as string, { port, passageOf: (id) => texts.get(id) });
    terminal.print(`Open ${terminal.colors.cyan(review.url)}`);
    terminal.note("Ctrl-C ends it. What was struck is on disk.");
    await withInterrupt(
      terminal,
      "Stopping.",
      (signal) => new Promise<void>((resolve) => void onAbort(signal, () => resolve())),
    );
    await review.close();
    terminal.print(`${plural(review.struck(), "question is", "questions are")} struck.`);
    return { folder, struck: review.struck() };
  },
};

async function textsOf(folder: string, index: string): Promise<Map<string, string>> {
  let passages: Passages | undefined;
  const engine = await openEngine(await withEngine({ index }), { onPassages: (source) => (passages ??= source) });
  try {
    return passages === undefined ? new Map() : await evidenceTexts(folder, passages);
  } finally {
    await engine.close();
  }
}
