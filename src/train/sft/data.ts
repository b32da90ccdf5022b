/**
 * @file From transcripts to training sequences. A transcript is replayed through the very rollout that reinforcement uses,
 * with its own words in place of the policy's and its own passages in place of the search engine's: prompt, chat template,
 * observations, budgets and segment boundaries are the same by construction, and so are the masks.
 *
 * This is the one place where text is tokenized into training data. Each turn is tokenized by itself, as it would be sampled.
 */
import { trajectoryToDatum } from "../../algorithms/datum.js";
import type { Transcript } from "../../data/transcripts.js";
import { UserError } from "../../errors.js";
import type { Policy, Sample } from "../../contracts/policy.js";
import { begunThought } from "../../prompts/chat.js";
import type { Protocol } from "../../prompts/protocol.js";
import { PromptTooLong, rollout } from "../../rollout/rollout.js";
import type { SearchEngine } from "../../search/engine.js";
import type { Datum, Passage, Tokenizer, Trajectory } from "../../types.js";
import type { Config } from "../config/config.js";
import { rolloutSettings } from "../parts.js";

/** A transcript as the policy will read it. */
export interface SftSequence {
  transcript: Transcript;
  trajectory: Trajectory;
  /** Without weights: a batch decides them. */
  datum: Datum;
  /** Tokens that carry loss. */
  policyTokens: number;
}

/** Why a transcript cannot be a sequence: which budget it breaks. */
export type Misfit =
  "rollout.maxTokens" | "rollout.maxTokensPerTurn" | "rollout.maxSearches" | "rollout.maxObservationTokens";

/** Replays a transcript; or says which budget is too small for it. */
export async function sequenceOf(
  transcript: Transcript,
  policy: Pick<Policy, "tokenizer" | "contextLength">,
  config: Config,
): Promise<SftSequence | Misfit> {
  const { tokenizer, contextLength } = policy;
  const settings = rolloutSettings(config);
  if (settings.context === "question") {
    throw new UserError(
      "rollout.context is question, but transcripts hold no search with the question itself, so their prompts cannot be written. " +
        "Set rollout.context=none for the warm-up.",
    );
  }
  const replay = new Replay(transcript, tokenizer, settings.protocol);
  let trajectory: Trajectory;
  try {
    trajectory = await rollout(
      { id: transcript.id, question: transcript.question, answers: transcript.answers },
      {
        ...settings,
        protocol: replay.speaksText ? asText(settings.protocol) : settings.protocol,
        // As many as were shown: how many a search brings is the transcript's business.
        topK: Number.MAX_SAFE_INTEGER,
        search: replay,
        policy: { tokenizer, contextLength, sample: (prefix_T, { maxTokens }) => replay.sample(prefix_T, maxTokens) },
      },
    );
  } catch (error) {
    if (error instanceof PromptTooLong) return "rollout.maxTokens";
    if (!(error instanceof TurnTooLong)) throw error;
    return error.limit < config.rollout.maxTokensPerTurn ? "rollout.maxTokens" : "rollout.maxTokensPerTurn";
  }
  if (trajectory.finishReason === "out-of-turns") return "rollout.maxSearches";
  if (trajectory.finishReason !== "answered") return "rollout.maxTokens";
  const omission = firstOmission(trajectory, Math.min(config.rollout.maxTokens, contextLength), config);
  if (omission !== null) return omission;
  const { tokens_T, sampledMask_T } = trajectoryToDatum(trajectory);
  const policyTokens = sampledMask_T.reduce((sum, value) => sum + value, 0);
  return { transcript, trajectory, datum: { tokens_T, sampledMask_T }, policyTokens };
}

/** What kept a passage from being shown. An answer that was read in it would be learned as a guess. */
function firstOmission({ searches, segments }: Trajectory, limit: number, { rollout }: Config): Misfit | null {
  const index = searches.findIndex(({ omittedPassages }) => omittedPassages > 0);
  if (index < 0) return null;
  // Prompt and policy stand before the first observation, an observation and the policy before each further one.
  const before = segments.slice(0, 2 + 2 * index).reduce((sum, { tokens_T }) => sum + tokens_T.length, 0);
  return limit - before - 1 < rollout.maxObservationTokens ? "rollout.maxTokens" : "rollout.maxObservationTokens";
}

class TurnTooLong extends Error {
  readonly limit: number;

  constructor(limit: number) {
    super("internal: a turn of a transcript is too long");
    this.limit = limit;
  }
}

/** Plays the parts of policy and search engine. The place in the transcript follows from the policy's turns alone. */
class Replay implements SearchEngine {
  readonly name = "transcript";
  readonly #transcript: Transcript;
  readonly #tokenizer: Tokenizer;
  readonly #protocol: Protocol;
  #turn = -1;

  constructor(transcript: Transcript, tokenizer: Tokenizer, protocol: Protocol) {
    this.#transcript = transcript;
    this.#tokenizer = tokenizer;
    this.#protocol = protocol;
  }

  /** Whether what the environment says is given as text in place of passages. */
  get speaksText(): boolean {
    return this.#transcript.turns.some((turn) => turn.role === "environment" && "text" in turn);
  }

  sample(prefix_T: readonly number[], maxTokens: number): Promise<Sample> {
    this.#turn += 1;
    const turn = this.#transcript.turns[2 * this.#turn];
    if (turn?.role !== "policy")
      throw new Error(`internal: ${this.#transcript.place} has no policy turn ${this.#turn}`);
    const text = this.#turn === 0 ? this.#continued(turn.text, prefix_T) : turn.text;
    const tokens_T = this.#tokensOf(text, turn.tokens_T);
    if (tokens_T.length > maxTokens) return Promise.reject(new TurnTooLong(maxTokens));
    return Promise.resolve({ tokens_T, logprobs_T: tokens_T.map(() => 0), stopReason: "stop" });
  }

  /** The first turn behind its prompt. Where the chat template has opened the thought, the turn does not open it again. */
  #continued(text: string, prompt_T: readonly number[]): string {
    const [open] = this.#protocol.think;
    const isOpen = begunThought(this.#tokenizer.decode(prompt_T), this.#protocol.think) === open;
    const turn = text.trimStart();
    return isOpen && turn.startsWith(open) ? turn.slice(open.length).trimStart() : text;
  }

  /** What was sampled, where it was: text that is encoded again may come out in other pieces. */
  #tokensOf(text: string, sampled: readonly number[] | undefined): number[] {
    const isKnown = sampled !== undefined && sampled.every((id) => id < this.#tokenizer.vocabSize);
    return isKnown && this.#tokenizer.decode(sampled) === text ? [...sampled] : this.#tokenizer.encode(text);
  }

  searchBatch(): Promise<Passage[][]> {
    const turn = this.#transcript.turns[2 * this.#turn + 1];
    if (turn?.role !== "environment")
      throw new Error(`internal: ${this.#transcript.place} has no observation ${this.#turn}`);
    if ("error" in turn) return Promise.reject(new Error(turn.error));
    const shown = "text" in turn ? [{ title: "", text: turn.text }] : turn.passages;
    return Promise.resolve([shown.map(({ title, text }, index) => ({ id: String(index), title, text, score: 0 }))]);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

const textProtocols = new WeakMap<Protocol, Protocol>();

/** The protocol whose observations hold text as it is. Made once each: rollouts prepare a sanitizer per protocol. */
function asText(protocol: Protocol): Protocol {
  const known = textProtocols.get(protocol) ?? { ...protocol, passage: "{text}", passageSeparator: "" };
  textProtocols.set(protocol, known);
  return known;
}

/** The data of a batch, weighted so that the summed loss is the mean over its policy tokens. */
export function toBatch(sequences: readonly SftSequence[]): { data_D: Datum[]; tokens: number } {
  const tokens = sequences.reduce((sum, { policyTokens }) => sum + policyTokens, 0);
  const data_D = sequences.map(({ datum }) => ({
    ...datum,
    weights_T: Float32Array.from(datum.sampledMask_T, (sampled) => sampled / tokens),
  }));
  return { data_D, tokens };
}
