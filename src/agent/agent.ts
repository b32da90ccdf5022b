/**
 * @file What was trained, to be used: `openAgent("runs/mine")`, then `agent.ask(question)`. The agent works as in its run, with the run's prompt, engine and
 * budgets, and several questions at once share the sampler's batches.
 */
import { EventEmitter, on } from "node:events";
import { linkedController } from "../async.js";
import type { MemoryPlan, Policy } from "../contracts/policy.js";
import { UserError } from "../errors.js";
import type { AttemptEvent } from "../rollout/attempt-event.js";
import type { Environment } from "../rollout/environment.js";
import { withoutRepeats } from "../search/same-passage.js";
import { mergeConfig, parseConfig, type Config, type ConfigInput } from "../train/config/config.js";
import { pinConfig } from "../train/model-folder.js";
import type { OnNotice } from "../train/notices.js";
import { openPolicy } from "../train/open-policy.js";
import { openTask } from "../train/open-task.js";
import type { GivenParts } from "../train/parts.js";
import { readRunConfig } from "../train/run-folder.js";
import { modelOfRun } from "../train/run-models.js";
import { modelName } from "../train/served-model.js";
import type { FinishReason, Passage, Question, SearchCall, Trajectory } from "../types.js";

export interface AskOptions {
  /** Ends the attempt; `ask` and `stream` then reject with the signal's reason. The agent stays open. */
  signal?: AbortSignal;
  /** 0 is greedy. Default 0. */
  temperature?: number;
  /** Nucleus that is sampled from, in (0, 1]. Default 1. */
  topP?: number;
  /** With the question it determines the answer. Default 0. */
  seed?: number;
}

/** A passage that the agent was shown, and for which query. */
export interface Citation extends Pick<Passage, "id" | "title" | "text" | "url" | "section"> {
  query: string;
}

/** Tokens of an attempt. */
export interface AnswerTokens {
  /** Of the prompt and of what was found. */
  read: number;
  /** Of all that the agent wrote. */
  written: number;
  /** Of the answer, among those written. */
  answer: number;
}

export interface Answer {
  question: string;
  /** Null where the attempt ended without one; `finishReason` says why. */
  answer: string | null;
  finishReason: FinishReason;
  /** Every passage that was shown, each once, in the order in which they came. */
  citations: Citation[];
  searches: SearchCall[];
  tokens: AnswerTokens;
  /** Everything, token by token. */
  trajectory: Trajectory;
}

export type AgentEvent =
  | AttemptEvent
  | { kind: "answer"; text: string }
  /** The last event. */
  | ({ kind: "end" } & Answer);

export interface AgentOptions {
  /** What differs from the run's configuration, or from the defaults. */
  config?: ConfigInput;
  /** A policy, search engine or environment of your own; it is not closed with the agent. */
  given?: Pick<GivenParts, "policy" | "search" | "environment">;
  /** Questions answered at once, in one batch of the sampler; others wait. Default 8. */
  concurrency?: number;
  /** Is told what was measured, and what looks like a mistake. Default: warnings to the process, as Node's own. */
  onNotice?: OnNotice;
  /** Questions like those to come: where budgets are `auto`, prompts are measured by them. Default none. */
  like?: readonly string[];
  signal?: AbortSignal;
}

/**
 * Opens the best model of a run with the run's prompt, search engine and budgets.
 * @param run the run's folder; or a configuration, for a model that no run has made
 * @throws UserError where the run has no model yet, where model or index cannot be read, or memory does not suffice
 * @example
 * const agent = await openAgent("runs/mine");
 * const { answer, citations } = await agent.ask("What is the capital of Peru?");
 * await agent.close();
 */
export async function openAgent(run: string | Config, options: AgentOptions = {}): Promise<Agent> {
  const { concurrency = 8, given = {}, onNotice, signal, like = [] } = options;
  if (!Number.isInteger(concurrency) || concurrency < 1)
    throw new UserError(`concurrency is ${concurrency}; it must be a whole number of at least 1.`);
  const own = typeof run === "string" ? await configOfRun(run, options.config) : merged(run, options.config);
  const pinned = given.policy === undefined ? await pinConfig(own, { signal }) : own;
  const questions = like.map((text, index) => asQuestion(text, `like-${index}`));
  const task = await openTask(pinned, given, { questions, onNotice, signal });
  try {
    const { config } = task;
    const alone = { ...config, rollout: { ...config.rollout, maxConcurrent: concurrency } };
    signal?.throwIfAborted();
    const policy = await openPolicy(alone, given, "sampling", { onNotice });
    return new Agent({
      environment: task.value.environment,
      policy: policy.value,
      config,
      close: async () => {
        await policy.close();
        await task.close();
      },
    });
  } catch (error) {
    await task.close();
    throw error;
  }
}

async function configOfRun(run: string, changes: ConfigInput = {}): Promise<Config> {
  const saved = await readRunConfig(run);
  const folder = changes.model?.folder ?? (await modelOfRun(run));
  return merged(mergeConfig(saved, { model: { folder } }), changes);
}

function merged(config: ConfigInput, changes: ConfigInput = {}): Config {
  return parseConfig(mergeConfig(config, changes));
}

interface AgentParts {
  environment: Environment;
  policy: Policy;
  config: Config;
  close: () => Promise<void>;
}

/** A model with its prompt, its search engine and its budgets. Made by `openAgent`. */
export class Agent {
  readonly #parts: AgentParts;
  readonly #open = linkedController().controller;
  readonly #running = new Set<Promise<unknown>>();
  #closing: Promise<void> | undefined;

  /** @internal */
  constructor(parts: AgentParts) {
    this.#parts = parts;
  }

  /** The configuration that the agent works by, with budgets as numbers. */
  get config(): Config {
    return this.#parts.config;
  }

  /** For people: where its model comes from. */
  get model(): string {
    return modelName(this.#parts.config);
  }

  /** What memory it may take, where its model runs in this process. */
  get memory(): MemoryPlan | undefined {
    return this.#parts.policy.memory;
  }

  /**
   * Answers a question.
   * @param options.onEvent is told what happens, in order, while it happens; a turn is told when it has been written
   * @throws UserError for an empty question, or one whose prompt leaves no room to answer
   * @throws the signal's reason when it is aborted, and what `onEvent` throws
   * @example
   * const { answer, citations } = await agent.ask("What is the capital of Peru?", { signal: AbortSignal.timeout(60_000) });
   */
  async ask(question: string, options: AskOptions & { onEvent?: (event: AgentEvent) => void } = {}): Promise<Answer> {
    const text = question.trim();
    if (text === "") throw new UserError("The question is empty.");
    if (this.#closing !== undefined) throw new UserError("The agent is closed. Open it again with openAgent.");
    const { onEvent, signal, temperature = 0, topP, seed = 0 } = options;
    signal?.throwIfAborted();
    const { environment, policy } = this.#parts;
    const { controller, release } = linkedController([signal, this.#open.signal]);
    const attempt = environment(asQuestion(text), {
      ...{ policy, temperature, topP, seed, signal: controller.signal },
      onEvent,
    });
    this.#running.add(attempt);
    try {
      const trajectory = await attempt;
      controller.signal.throwIfAborted();
      const answer = this.#answerOf(text, trajectory);
      if (answer.answer !== null) onEvent?.({ kind: "answer", text: answer.answer });
      onEvent?.({ kind: "end", ...answer });
      return answer;
    } finally {
      this.#running.delete(attempt);
      release();
    }
  }

  /**
   * Answers a question, and tells what happens while it happens. A consumer that stops reading ends the attempt.
   * @throws as `ask` does
   * @example
   * for await (const event of agent.stream("What is the capital of Peru?"))
   *   if (event.kind === "search") console.log("looks up", event.query);
   */
  async *stream(question: string, options: AskOptions = {}): AsyncGenerator<AgentEvent, void, undefined> {
    const { controller, release } = linkedController(options.signal);
    const emitter = new EventEmitter<{ event: [AgentEvent]; error: [unknown] }>();
    // A reader that has stopped is told of no error.
    emitter.on("error", () => undefined);
    const events = on(emitter, "event");
    const onEvent = (event: AgentEvent): void => void emitter.emit("event", event);
    const asked = this.ask(question, { ...options, signal: controller.signal, onEvent });
    asked.catch((error: unknown) => emitter.emit("error", error));
    try {
      for await (const [event] of events as AsyncIterable<[AgentEvent]>) {
        yield event;
        if (event.kind === "end") return;
      }
    } finally {
      controller.abort(new Error("nobody reads the answer any more"));
      release();
      await asked.catch(() => undefined);
    }
  }

  /** Ends what is being answered and frees model, workers and search engine. A second call waits for the first. */
  close(): Promise<void> {
    this.#closing ??= (async () => {
      this.#open.abort(new UserError("The agent was closed while it was answering."));
      await Promise.allSettled(this.#running);
      await this.#parts.close();
    })();
    return this.#closing;
  }

  #answerOf(question: string, trajectory: Trajectory): Answer {
    const { answer, finishReason, searches, segments } = trajectory;
    const tokensBy = (written: boolean): number =>
      segments.reduce((sum, { role, tokens_T }) => sum + ((role === "policy") === written ? tokens_T.length : 0), 0);
    const tokens = {
      read: tokensBy(false),
      written: tokensBy(true),
      answer: answer === null ? 0 : this.#parts.policy.tokenizer.encode(answer).length,
    };
    return { question, answer, finishReason, citations: citationsOf(searches), searches, tokens, trajectory };
  }
}

function asQuestion(question: string, id = "asked"): Question {
  return { id, question, answers: [] };
}

function citationsOf(searches: readonly SearchCall[]): Citation[] {
  const shown = searches.flatMap(({ query, passages }) =>
    passages.map(({ id, title, text, url, section }) => ({
      ...{ id, title, text, query },
      ...(url !== undefined && { url }),
      ...(section !== undefined && { section }),
    })),
  );
  return withoutRepeats(shown);
}
