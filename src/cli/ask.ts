/** @file `sleuth ask`: one question, its answer, and every search on the way. */
import { openAgent, type Answer } from "../agent/agent.js";
import { UserError } from "../errors.js";
import { printable } from "../printable.js";
import { renderTrace } from "../rollout/trace.js";
import type { OnNotice } from "../train/notices.js";
import { modelName } from "../train/served-model.js";
import { newestRun } from "../train/run-models.js";
import { fetchModel } from "./fetch-model.js";
import { withInterrupt } from "./interrupt.js";
import { addRunOptions, addServer, configOfModel, integer, numberOption, type ModelOptions } from "./run-options.js";
import { duration } from "./terminal/format.js";
import { noteMemory } from "./terminal/memory-note.js";
import type { Verb } from "./verb.js";
import { contextOf } from "../rollout/methods/named.js";

interface Options extends ModelOptions {
  temperature: number;
  seed: number;
}

export const askVerb: Verb = {
  name: "ask",
  summary: "answer one question and show the searches",
  description:
    "Answers a question with the best model of a run (the newest in runs/ unless --run or --model says which) and shows the trace: what the model wrote, its queries, the passages it was shown, its answer.",
  examples: [
    ['sleuth ask "What is the capital of Peru?"', "the newest run's model, on its own passages"],
    ['sleuth ask "When does the ferry leave?" --run runs/harbour --index index', "another run, another index"],
    ['sleuth ask "What is the capital of Peru?" --model atlas-base', "the model before any reinforcement"],
    [
      'sleuth ask "Who wrote Kim?" --server http://127.0.0.1:8000/v1 --index wiki',
      "a model behind a server, with your index",
    ],
  ],
  configure: (command) => {
    command.argument("<question...>", "the question");
    addRunOptions(command);
    addServer(command);
    command
      .option("--run <folder>", "ask the best model of this run")
      .option("--temperature <number>", "0 is greedy", numberOption, 0)
      .option("--seed <number>", "of sampling, at temperatures above 0", integer(0), 0);
  },
  async run(terminal, flags, [words]) {
    const options = flags as unknown as Options;
    const text = (words as string[]).join(" ").trim();
    if (text === "")
      throw new UserError('The question is empty. Write one in quotes: sleuth ask "What is the capital of Peru?"');
    const run = options.run ?? ((options.model ?? options.server) === undefined ? newestRun() : undefined);
    const asked = await fetchModel(terminal, await configOfModel({ ...options, run }, terminal));
    terminal.note(terminal.progressColors.dim(`Model: ${modelName(asked)}`));
    const started = performance.now();
    terminal.waiting("Answering");
    const onNotice: OnNotice = (notice) => terminal.notice(notice);
    const agent = await openAgent(asked, { concurrency: 1, like: [text], onNotice });
    const { config, memory } = agent;
    let given: Answer;
    try {
      if (memory) noteMemory(terminal, memory);
      const { temperature, seed } = options;
      given = await withInterrupt(terminal, "Stopping.", (signal) => agent.ask(text, { temperature, seed, signal }));
    } finally {
      await agent.close();
    }
    terminal.endProgress();
    const { answer, finishReason, searches, citations, tokens, trajectory } = given;
    // The prompt is the question and how to answer it, but where passages come with it.
    const withoutPrompt = contextOf(config.rollout) === "none";
    if (withoutPrompt) terminal.print(terminal.colors.dim(`Question: ${printable(text)}`));
    terminal.print(renderTrace({ trajectory }, { colors: terminal.colors.isColorSupported, withoutPrompt }));
    terminal.note(terminal.progressColors.dim(`in ${duration(performance.now() - started)}`));
    const { texts } = trajectory;
    return { question: text, answer, finishReason, searches, citations, tokens, texts, model: agent.model, memory };
  },
};
