/** @file One turn of the policy: sampled within its budgets into the row, and what of it is kept. */
import { DeadlineError, withDeadline } from "../async.js";
import type { Sample } from "../contracts/policy.js";
import { endIds, turnStops } from "../prompts/parse.js";
import { deriveSeed } from "../random.js";
import type { Tokenizer } from "../types.js";
import type { Settings } from "./settle.js";
import type { TrajectoryBuilder } from "./trajectory-builder.js";

interface Turn {
  /** What it is read by: where turns have no tags, without the token that ended it. */
  said: string;
  /** What was written, without the token that ended it. */
  plain: string;
  stopReason: Sample["stopReason"];
  /** The most tokens of a turn, and not those of the row, ended it. */
  isCut: boolean;
}

/** Samples one turn into the row; null when it was cancelled or its deadline passed, `no-room` where a server has none for the row. */
export async function takeTurn(
  row: TrajectoryBuilder,
  turn: number,
  settings: Settings,
): Promise<Turn | "no-room" | null> {
  const { policy, signal, temperature, topP, protocol } = settings;
  const maxTokens = Math.min(settings.maxTokensPerTurn, settings.limit - row.length);
  const stop = turnStops(policy.tokenizer, protocol, { pastAnswer: settings.faithful.searchTagFirst });
  const seed = deriveSeed(settings.seed, turn);
  const prefix_T = [...row.tokens_T];
  const prefixTexts = row.written();
  const started = performance.now();
  try {
    const sampled = await withDeadline(
      (inner) => policy.sample(prefix_T, { maxTokens, stop, temperature, topP, seed, signal: inner, prefixTexts }),
      { timeoutMs: settings.policyTimeoutMs, signal },
    );
    checkSample(sampled, maxTokens);
    if (sampled.tokens_T.length === 0 && sampled.stopReason === "length") return "no-room";
    const sample = keptOf(sampled, settings);
    // A reading of a text by another tokenizer need not give it back.
    const isWhole = sample.tokens_T.length === sampled.tokens_T.length;
    const written = (isWhole ? sample.text : undefined) ?? policy.tokenizer.decode(sample.tokens_T);
    row.addPolicy(written, sample);
    const isCut = sample.stopReason === "length" && maxTokens === settings.maxTokensPerTurn;
    const plain = sample.text ?? withoutEnd(sample.tokens_T, policy.tokenizer);
    const said = protocol.untagged === undefined ? written : withoutEnd(sample.tokens_T, policy.tokenizer);
    return { said, plain, stopReason: sample.stopReason, isCut };
  } catch (error) {
    if (error instanceof DeadlineError || signal?.aborted) return null;
    throw error;
  } finally {
    row.timing.policyMs += performance.now() - started;
  }
}

/** The text of a turn without the tokens that say that there is nothing to add. */
function withoutEnd(tokens_T: readonly number[], tokenizer: Tokenizer): string {
  const ends = new Set(endIds(tokenizer));
  let length = tokens_T.length;
  while (length > 0 && ends.has(tokens_T[length - 1])) length--;
  return tokenizer.decode(tokens_T.slice(0, length));
}

function checkSample(sample: Sample, maxTokens: number): void {
  const { tokens_T, logprobs_T, text } = sample;
  if (tokens_T.length !== logprobs_T.length || (text === undefined && tokens_T.length > maxTokens)) {
    throw new Error(
      `internal: the policy sampled ${tokens_T.length} tokens with ${logprobs_T.length} log-probabilities where at most ${maxTokens} were asked for`,
    );
  }
}

/** Faithful mode: what the released code keeps of a turn (generation.py:54-75), cut between tokens. Otherwise all of it. */
function keptOf(sample: Sample, { faithful, protocol, policy: { tokenizer } }: Settings): Sample {
  const { tokens_T } = sample;
  let length = tokens_T.length;
  if (faithful.dropEndOfText) {
    const ends = new Set(endIds(tokenizer));
    while (length > 1 && ends.has(tokens_T[length - 1])) length--;
  }
  const holds = (count: number, tag: string): boolean => tokenizer.decode(tokens_T.slice(0, count)).includes(tag);
  const searched = protocol.searches && holds(length, protocol.search[1]);
  const [, answered] = protocol.answer;
  if (faithful.searchTagFirst && !searched && holds(length, answered)) {
    // The fewest tokens whose text holds the tag.
    let least = 1;
    while (least < length) {
      const middle = (least + length) >> 1;
      if (holds(middle, answered)) length = middle;
      else least = middle + 1;
    }
  }
  if (length === tokens_T.length) return sample;
  return { ...sample, tokens_T: tokens_T.slice(0, length), logprobs_T: sample.logprobs_T.slice(0, length) };
}
