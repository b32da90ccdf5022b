/** @file `sleuth pretrain`: makes the base checkpoint that the demo starts from. */
import { appendFileSync, existsSync, mkdirSync, readdirSync } from "node:fs";
import { cp, rm } from "node:fs/promises";
import path from "node:path";
import { UserError } from "../errors.js";
import { createLocalPolicy } from "../policy/local/local.js";
import type { BaseCheck } from "../pretrain/check.js";
import { defaultPretrainSettings, pretrain, type PretrainEvent } from "../pretrain/pretrain.js";
import { interruptedStatus, withInterrupt } from "./interrupt.js";
import { integer } from "./run-options.js";
import { count, duration, plural } from "./terminal/format.js";
import { ProgressBar } from "./terminal/progress-bar.js";
import type { Terminal } from "./terminal/terminal.js";
import type { Verb } from "./verb.js";

interface Options {
  run: string;
  out?: string;
  tokens?: number;
  seed?: number;
  threads?: number;
}

export const pretrainVerb: Verb = {
  name: "pretrain",
  summary: "make the base checkpoint of the demo",
  description:
    "Trains the demo's base model from random weights, on text about freshly invented countries and noisy transcripts with at most one search. It never sees a fact of the validation or test countries. Takes some ten minutes or more; a stopped run goes on with the same command.",
  examples: [
    ["sleuth pretrain --run runs/base", "the shipped recipe; the model is runs/base/model"],
    ["sleuth pretrain --run runs/base --out models/atlas-base", "and put it where the demo looks"],
    ["sleuth demo --set model.folder=runs/base/model", "the demo on your own base model"],
  ],
  configure: (command) =>
    command
      .option("--run <folder>", "where checkpoints, log and model are written", path.join("runs", "atlas-base"))
      .option("--out <folder>", "also copy the finished model here")
      .option("--tokens <number>", `tokens to train on (default: ${count(defaultPretrainSettings.tokens)})`, integer(1))
      .option("--seed <number>", `of weights and text (default: ${defaultPretrainSettings.seed})`, integer(0))
      .option("--threads <number>", "threads of the runtime (default: all cores)", integer(1)),
  async run(terminal, given) {
    const { run, out, tokens, seed, threads } = given as unknown as Options;
    const settings = {
      ...defaultPretrainSettings,
      ...(tokens === undefined ? {} : { tokens }),
      ...(seed === undefined ? {} : { seed }),
    };
    const started = performance.now();
    const watch = watcher(terminal, run, settings.tokens);
    const result = await withInterrupt(terminal, "Writing a checkpoint.", (signal) =>
      pretrain({
        folder: run,
        settings,
        signal,
        makePolicy: (folder) => createLocalPolicy({ model: folder, threads }),
        onEvent: watch.onEvent,
      }),
    );
    watch.stop();
    const seconds = (performance.now() - started) / 1000;
    const answer = { ...result, seconds, runDir: run };
    if (result.modelFolder === null) {
      terminal.print(`Stopped after ${plural(result.state.tokens, "token")}. The same command goes on from there.`);
      return { ...answer, exitStatus: interruptedStatus };
    }
    if (out !== undefined) await copyModel(result.modelFolder, out);
    terminal.print(
      `${plural(result.state.tokens, "token")} in ${duration(seconds * 1000)} → ${out ?? result.modelFolder}`,
    );
    terminal.print(`On validation questions: ${checkInWords(result.check)}.`);
    return { ...answer, modelFolder: out ?? result.modelFolder };
  },
};

/** Draws the progress, and writes the checks into `log.jsonl` of the run. */
function watcher(
  terminal: Terminal,
  run: string,
  tokens: number,
): { onEvent: (event: PretrainEvent) => void; stop: () => void } {
  const progress = new ProgressBar(terminal, { label: "Pretraining", total: tokens, unit: "token" });
  let lastCheck = "";
  let lossSum = 0;
  let steps = 0;
  const onEvent = (event: PretrainEvent): void => {
    if (event.kind === "started") {
      terminal.note(`A model of ${plural(event.parameters, "parameter")}.`);
      if (event.resumedAt) terminal.note(`Going on after ${plural(event.resumedAt.tokens, "token")}.`);
    } else if (event.kind === "step") {
      lossSum += event.loss;
      steps += 1;
      progress.update(Math.min(tokens, event.state.tokens), `loss ${event.loss.toFixed(3)}${lastCheck}`);
    } else if (event.kind === "check") {
      lastCheck = `; ${checkInWords(event.check)}`;
      mkdirSync(run, { recursive: true });
      const line = { ...event.state, loss: steps > 0 ? lossSum / steps : null, ...event.check };
      appendFileSync(path.join(run, "log.jsonl"), `${JSON.stringify(line)}\n`);
      lossSum = 0;
      steps = 0;
    }
  };
  return { onEvent, stop: () => progress.stop() };
}

/** Mean probabilities of an ideal searcher's moves. */
function checkInWords({ query, answer, firstSearch, furtherSearch }: BaseCheck): string {
  const parts = [
    `copies the query ${query.toFixed(3)}`,
    `copies the answer ${answer.toFixed(3)}`,
    `searches ${firstSearch.toFixed(3)}`,
    `searches again ${furtherSearch.toFixed(3)}`,
  ];
  return parts.join(", ");
}

/** Replaces a model, and nothing else. */
async function copyModel(from: string, to: string): Promise<void> {
  const isModel = existsSync(path.join(to, "model.safetensors"));
  if (existsSync(to) && !isModel && readdirSync(to).length > 0)
    throw new UserError(
      `${to} holds something other than a model, which --out would delete. The model is in ${from}; copy it yourself.`,
    );
  await rm(to, { recursive: true, force: true });
  await cp(from, to, { recursive: true });
}
