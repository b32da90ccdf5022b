/** @file `sleuth serve model`: trained agents, with their search loop, as OpenAI's interface. */
import path from "node:path";
import { openAgent, type Agent } from "../agent/agent.js";
import { agentModel } from "../agent/chat-model.js";
import { onAbort } from "../async.js";
import { UserError } from "../errors.js";
import type { ChatModel } from "../openai/chat-service.js";
import { serveModels } from "../openai/serve.js";
import { shellWord } from "../printable.js";
import { fetchModel } from "./fetch-model.js";
import { withInterrupt } from "./interrupt.js";
import { addRunOptions, configOfModel, integer, type RunOptions } from "./run-options.js";
import { addListening, noteOpenDoor, type ListeningOptions } from "./serve-options.js";
import type { Terminal } from "./terminal/terminal.js";
import type { Verb } from "./verb.js";

interface Options extends RunOptions, ListeningOptions {
  atOnce: number;
  drainSeconds: number;
}

/** Completions then need `authorization: Bearer …`, with any of these, which commas divide. */
const keysVariable = "SLEUTH_MODEL_KEYS";

/** So many times as many requests as are answered at once are taken in. */
const queueFactor = 4;

export const serveModelVerb: Verb = {
  name: "model",
  summary: "serve a trained agent as an OpenAI-compatible endpoint",
  description:
    "Answers POST /v1/chat/completions with the best model of a run and its search: the answer is the content, thoughts and searches are the reasoning, passages the citations. GET /v1/models lists the models, GET /health says 200 once they are ready, GET /metrics speaks Prometheus. " +
    `Where ${keysVariable} is set, one of its keys (divided by commas) is required as a bearer token. Ctrl-C and SIGTERM end it when the requests under way are answered.`,
  examples: [
    ["sleuth serve model runs/mine", "on port 8080 of this machine, under the name mine"],
    ["sleuth serve model before=runs/warm after=runs/mine", "two checkpoints side by side, by name"],
    ["sleuth serve model runs/mine --index index --host 0.0.0.0", "over another index, for the network"],
    [
      `curl -s localhost:8080/v1/chat/completions -H 'content-type: application/json' -d '{"model":"mine","messages":[{"role":"user","content":"What is the capital of Peru?"}]}'`,
      "what a client asks",
    ],
  ],
  configure: (command) => {
    command
      .argument("<run...>", "run folders; NAME=RUN gives one another name than its folder's")
      .option(
        "--at-once <number>",
        `requests that a model works on at once; in all, ${queueFactor} times as many are taken in and further ones get 429`,
        integer(1),
        16,
      )
      .option("--drain-seconds <number>", "longest wait for requests under way when it ends", integer(0), 30);
    addListening(command, 8080);
    addRunOptions(command);
  },
  async run(terminal, given, [runs]) {
    const options = given as unknown as Options;
    const { port, host, atOnce, drainSeconds, allowHost, allowOrigin } = options;
    const token = (process.env[keysVariable] ?? "").split(",").map((key) => key.trim());
    const folders = namedRuns(runs as string[]);
    const agents = opening(terminal, folders, options);
    const models = new Map<string, Promise<ChatModel>>(
      [...agents].map(([name, agent]) => [name, agent.then((open) => agentModel(open, { run: folders.get(name) }))]),
    );
    const closeAll = async (): Promise<void> => {
      for (const agent of await Promise.allSettled(agents.values()))
        if (agent.status === "fulfilled") await agent.value.close();
    };
    const server = await serveModels({
      ...{ models, port, host, token, maxInFlight: queueFactor * atOnce },
      ...{ allowedHosts: allowHost, allowedOrigins: allowOrigin ?? [] },
    }).catch(async (error: unknown) => {
      await closeAll();
      throw error;
    });
    if (token.every((key) => key === "")) noteOpenDoor(terminal, host, { may: "ask", variable: keysVariable });
    return withInterrupt(terminal, "Answering what is under way.", async (signal) => {
      const stopped = new Promise<void>((resolve) => onAbort(signal, () => resolve()));
      try {
        await Promise.race([Promise.all(agents.values()), stopped]);
        if (!signal.aborted) {
          terminal.print(`${[...models.keys()].join(", ")} at ${server.url}. Ctrl-C ends it.`);
          await stopped;
        }
      } finally {
        await server.close(drainSeconds * 1_000);
        await closeAll();
      }
      return { url: server.url, port: server.port, models: [...models.keys()] };
    });
  },
};

/** The agents of the runs, opened one after another: each plans for the memory that is left. */
function opening(
  terminal: Terminal,
  folders: ReadonlyMap<string, string>,
  options: Options,
): ReadonlyMap<string, Promise<Agent>> {
  const agents = new Map<string, Promise<Agent>>();
  let last: Promise<unknown> = Promise.resolve();
  for (const [name, run] of folders) {
    const agent = last.then(async () => {
      const config = await fetchModel(terminal, await configOfModel({ ...options, run }, terminal));
      return openAgent(config, { concurrency: options.atOnce, onNotice: (notice) => terminal.notice(notice) });
    });
    agents.set(name, agent);
    last = agent;
  }
  return agents;
}

/**
 * Runs by the names that clients ask for: `NAME=RUN`, or the folder's own name.
 * @throws UserError for two of one name
 */
export function namedRuns(given: readonly string[]): Map<string, string> {
  const named = new Map<string, string>();
  for (const text of given) {
    const [, name = path.basename(path.resolve(text)), run = text] = /^([\w.:-]+)=(.+)$/s.exec(text) ?? [];
    const other = named.get(name);
    if (other !== undefined)
      throw new UserError(
        `Two models are called ${name}. Name them: sleuth serve model one=${shellWord(other)} two=${shellWord(run)}`,
      );
    named.set(name, run);
  }
  return named;
}
