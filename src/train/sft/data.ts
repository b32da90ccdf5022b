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
import { rollout } from "../../rollout/rollout.js";
import { leastBudgets, type Budgets } from "../../rollout/settings.js";
import type { SearchEngine } from "../../search/engine.js";
import type { Datum, Passage, Role, Tokenizer, Trajectory } from "../../types.js";
import type { Config } from "../config/config.js";
import { rolloutSettings } from "../rollout-settings.js";

/** A transcript as the policy will read it. */
export interface SftSequence {
  transcript: Transcript;
  trajectory: Trajectory;
  /** Without weights: a batch decides them. */
  datum: Datum;
  /** Tokens that carry loss. */
  policyTokens: number;
}

/** The budgets of a rollout that transcripts can break. */
export type BudgetKey =
  "rollout.maxTokens" | "rollout.maxTokensPerTurn" | "rollout.maxSearches" | "rollout.maxObservationTokens";

/** Why a transcript cannot be a sequence. */
export interface Misfit {
  breaks: BudgetKey | "passages";
  /** What the budget would have to be for this transcript; 0 for passages that cannot be shown at any length. */
  needed: number;
}

/** What a transcript needs of the budgets, in tokens and searches. */
interface Needs {
  maxTokens: number;
  maxTokensPerTurn: number;
  maxSearches: number;
  maxObservationTokens: number;
}

/**
 * Replays a transcript, within the budgets of the configuration and the model's context; `auto` is what the transcript needs. Or says which budget
 * is too small for it. An answer whose passage was left out would be learned as a guess.
 */
export async function sequenceOf(
  transcript: Transcript,
  model: Pick<Policy, "tokenizer" | "contextLength">,
  config: Config,
): Promise<SftSequence | Misfit> {
  const trajectory = await replayed(transcript, model.tokenizer, config);
  const needs = needsOf(trajectory);
  const { rollout } = config;
  const cut = config.faithful.cutObservations;
  const most = { ...rollout, maxTokens: Math.min(numberOr(rollout.maxTokens, Infinity), model.contextLength) };
  for (const key of ["maxTokensPerTurn", "maxSearches", "maxObservationTokens", "maxTokens"] as const) {
    if (cut && key === "maxObservationTokens") continue;
    if (needs[key] > numberOr(most[key], Infinity)) return { breaks: `rollout.${key}`, needed: needs[key] };
  }
  if (trajectory.finishReason !== "answered" || trajectory.searches.some(({ omittedPassages }) => omittedPassages > 0))
    return { breaks: "passages", needed: 0 };
  const { tokens_T, sampledMask_T } = trajectoryToDatum(trajectory);
  const policyTokens = sampledMask_T.reduce((sum, value) => sum + value, 0);
  return { transcript, trajectory, datum: { tokens_T, sampledMask_T }, policyTokens };
}

/** What sequences need of the budgets that may be `auto`. */
export function budgetsNeeded(sequences: readonly SftSequence[]): Budgets {
  const needs = sequences.map(({ trajectory }) => needsOf(trajectory));
  const largest = (key: keyof Budgets): number => Math.max(leastBudgets[key], ...needs.map((of) => of[key]));
  return { maxTokens: largest("maxTokens"), maxObservationTokens: largest("maxObservationTokens") };
}

/** The rollout that the transcript tells of, without any bound on its lengths. */
async function replayed(transcript: Transcript, tokenizer: Tokenizer, config: Config): Promise<Trajectory> {
  const settings = rolloutSettings(config);
  if (settings.context === "question") {
    throw new UserError(
      "rollout.context is question, but transcripts hold no search with the question itself, so their prompts cannot be written. " +
        "Set rollout.context=none for the warm-up.",
    );
  }
  const replay = new Replay(transcript, tokenizer, settings.protocol);
  const cut = config.faithful.cutObservations;
  return rollout(
    { id: transcript.id, question: transcript.question, answers: transcript.answers },
    {
      ...settings,
      protocol: replay.speaksText ? asText(settings.protocol) : settings.protocol,
      // As many as were shown: how many a search brings is the transcript's business.
      topK: Number.MAX_SAFE_INTEGER,
      maxSearches: replay.lastTurn,
      maxTokensPerTurn: Infinity,
      maxTokens: Infinity,
      maxObservationTokens: cut ? settings.maxObservationTokens : Infinity,
      search: replay,
      policy: { tokenizer, contextLength: Infinity, sample: (prefix_T) => replay.sample(prefix_T) },
    },
  );
}

function needsOf({ segments }: Trajectory): Needs {
  const lengths = (role: Role): number[] => segments.flatMap((one) => (one.role === role ? [one.tokens_T.length] : []));
  return {
    maxTokens: segments.reduce((sum, { tokens_T }) => sum + tokens_T.length, 0),
    maxTokensPerTurn: Math.max(0, ...lengths("policy")),
    maxSearches: lengths("policy").length - 1,
    maxObservationTokens: Math.max(0, ...lengths("environment")),
  };
}

function numberOr(value: "auto" | number, otherwise: number): number {
  return value === "auto" ? otherwise : value;
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

  /** The policy's last turn, from 0. */
  get lastTurn(): number {
    return this.#transcript.turns.filter(({ role }) => role === "policy").length - 1;
  }

  /** Whether what the environment says is given as text in place of passages. */
  get speaksText(): boolean {
    return this.#transcript.turns.some((turn) => turn.role === "environment" && "text" in turn);
  }

  sample(prefix_T: readonly number[]): Promise<Sample> {
    this.#turn += 1;
    const turn = this.#transcript.turns[2 * this.#turn];
    if (turn?.role !== "policy")
      throw new Error(`internal: ${this.#transcript.place} has no policy turn ${this.#turn}`);
    const begun = this.#turn === this.lastTurn ? withoutBeginning(turn.text, this.#protocol.lastTurn) : turn.text;
    const text = this.#turn === 0 ? this.#continued(begun, prefix_T) : begun;
    const tokens_T = this.#tokensOf(text, turn.tokens_T);
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

/** A last turn without what the environment has written of it. */
function withoutBeginning(text: string, lastTurn = ""): string {
  const begun = lastTurn.trim();
  return begun !== "" && text.trimStart().startsWith(begun) ? text.trimStart().slice(begun.length) : text;
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
