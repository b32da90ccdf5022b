/** @file `sleuth data list`: the question sets that are known by name. */
import { questionSets, setsRepository } from "../../data/sets/catalogue.js";
import { count, table } from "../terminal/format.js";
import type { Verb } from "../verb.js";

export const dataListVerb: Verb = {
  name: "list",
  summary: "list the question sets that are known by name",
  description:
    "Lists the seven sets on which papers on search agents measure, and the two that Search-R1 trains on, with their splits and terms. They come from the Hugging Face Hub, in FlashRAG's layout; nothing is asked of the network here.",
  examples: [["sleuth data list", "names, splits, questions and terms"]],
  run(terminal) {
    const number = (rows: number | undefined): string => (rows === undefined ? "–" : count(rows));
    const rows = questionSets.map(({ name, title, hops, splits, measuredOn, isTrainedOn, terms }) => [
      name,
      title,
      hops,
      `${number(splits.train)}${isTrainedOn ? " *" : ""}`,
      `${number(splits.dev)}${measuredOn === "dev" ? " †" : ""}`,
      `${number(splits.test)}${measuredOn === "test" ? " †" : ""}`,
      terms,
    ]);
    for (const line of table([["Set", "Title", "Hops", "train", "dev", "test", "Terms"], ...rows]))
      terminal.print(line);
    terminal.print("* Search-R1 is trained on it.  † What papers measure on.");
    terminal.print(terminal.colors.dim(`All are read from https://huggingface.co/datasets/${setsRepository}.`));
    return Promise.resolve({ repository: setsRepository, sets: questionSets });
  },
};
