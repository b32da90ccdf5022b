/**
 * @file A policy without a model: it says what a script tells it. Rollouts, searches and rewards are tested on it, and
 * traces are replayed with it. It cannot train.
 */
import { orAborted } from "../async.js";
import { UserError } from "../errors.js";
import type { Tokenizer } from "../types.js";
import type { Policy, PolicyStats, Sample, SampleOptions } from "../contracts/policy.js";

/** Texts in the order of the calls, or a function of the decoded prefix and the number of the call (from 0). */
export type Script = readonly string[] | ((prefixText: string, turn: number) => string | Promise<string>);

export interface ScriptedOptions {
  tokenizer: Tokenizer;
  script: Script;
  /** Default 4096. */
  contextLength?: number;
  /** Log-probability reported for every token, in nats. Default −1. */
  logprob?: number;
}

/** One call of `sample`, as it was made. */
interface RecordedCall {
  prefix_T: number[];
  prefixText: string;
  options: SampleOptions;
}

export interface ScriptedPolicy extends Policy {
  readonly calls: readonly RecordedCall[];
}

/**
 * Makes a scripted policy. A text that ends before a stop condition is met is followed by the end-of-text token.
 * @throws UserError from `sample` when the script has no text left or the prefix fills the context.
 */
export function scriptedPolicy(options: ScriptedOptions): ScriptedPolicy {
  const { tokenizer, script, contextLength = 4096, logprob = -1 } = options;
  const calls: RecordedCall[] = [];
  const closed = new AbortController();
  let sampledTokens = 0;

  async function sample(prefix_T: readonly number[], sampleOptions: SampleOptions): Promise<Sample> {
    closed.signal.throwIfAborted();
    sampleOptions.signal?.throwIfAborted();
    if (prefix_T.length >= contextLength) {
      throw new UserError(
        `The prefix has ${prefix_T.length} tokens and the scripted policy's context is ${contextLength}: there is no room to write. Shorten the prompt or raise contextLength.`,
      );
    }
    const prefixText = tokenizer.decode(prefix_T);
    const turn = calls.push({ prefix_T: [...prefix_T], prefixText, options: sampleOptions }) - 1;
    const text = await orAborted(nextText(script, prefixText, turn), [closed.signal, sampleOptions.signal]);
    const room = Math.min(sampleOptions.maxTokens, contextLength - prefix_T.length);
    const result = cut(tokenizer, text, room, sampleOptions.stop ?? {}, logprob);
    sampledTokens += result.tokens_T.length;
    return result;
  }

  return {
    tokenizer,
    contextLength,
    calls,
    capabilities: { engine: "scripted", training: false, reference: true, exactResume: false, entropy: false },
    sample,
    logprobs: (sequences, { masks_D_T } = {}) =>
      Promise.resolve(
        sequences.map((tokens_T, row) =>
          Float32Array.from(tokens_T, (_, t) => (t === 0 || masks_D_T?.[row][t] === 0 ? 0 : logprob)),
        ),
      ),
    forwardBackward: () => cannot("forwardBackward"),
    optimStep: () => cannot("optimStep"),
    save: () => cannot("save"),
    load: () => cannot("load"),
    stats: () => Promise.resolve({ ...noWork, sampledTokens }),
    close: () => {
      closed.abort(new Error("The scripted policy was closed."));
      return Promise.resolve();
    },
  };
}

const noWork: PolicyStats = {
  prefillTokens: 0,
  reusedTokens: 0,
  sampledTokens: 0,
  trainedTokens: 0,
  computedTokens: 0,
  sharedTokens: 0,
  sampleRuntimeMs: 0,
  trainRuntimeMs: 0,
};

async function nextText(script: Script, prefixText: string, turn: number): Promise<string> {
  if (typeof script === "function") return script(prefixText, turn);
  if (turn < script.length) return script[turn];
  throw new UserError(
    `The script has ${script.length} texts and call ${turn + 1} asks for another. Add one, or use a function of (prefixText, turn).`,
  );
}

/** The tokens of `text` up to and including the first that meets a stop condition. */
function cut(
  tokenizer: Tokenizer,
  text: string,
  room: number,
  stop: NonNullable<SampleOptions["stop"]>,
  logprob: number,
): Sample {
  const written = [...tokenizer.encode(text), tokenizer.eosIds[0]];
  const tokens_T: number[] = [];
  let stopReason: Sample["stopReason"] = "length";
  while (tokens_T.length < Math.min(room, written.length)) {
    tokens_T.push(written[tokens_T.length]);
    const soFar = tokenizer.decode(tokens_T);
    const ended = tokens_T.length === written.length || stop.tokens?.includes(tokens_T[tokens_T.length - 1]);
    if (ended || stop.strings?.some((string) => soFar.includes(string))) {
      stopReason = "stop";
      break;
    }
  }
  return { tokens_T, logprobs_T: tokens_T.map(() => logprob), stopReason };
}

function cannot(verb: string): Promise<never> {
  return Promise.reject(
    new UserError(
      `The scripted policy replays texts and has no weights, so ${verb} is impossible. Use the local engine.`,
    ),
  );
}
