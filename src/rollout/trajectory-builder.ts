/** @file A trajectory while it grows: tokens in, tokens out, each run of tokens with its author. */
import type { Sample } from "../contracts/policy.js";
import type { OnAttemptEvent } from "./attempt-event.js";
import type { FinishReason, Role, SearchCall, Segment, Trajectory } from "../types.js";

/** Grows by appending segments; what stands in it never changes, so a policy can reuse the prefix. */
export class TrajectoryBuilder {
  readonly tokens_T: number[] = [];
  readonly #searches: SearchCall[] = [];
  readonly timing = { policyMs: 0, searchMs: 0 };
  /** Turns that were cut at the most tokens of a turn. */
  cutTurns = 0;
  readonly #questionId: string;
  readonly #segments: Segment[] = [];
  readonly #texts: string[] = [];
  readonly #onEvent: OnAttemptEvent | undefined;
  #isTextOnly = false;

  constructor(questionId: string, onEvent?: OnAttemptEvent) {
    this.#questionId = questionId;
    this.#onEvent = onEvent;
  }

  /** Tokens so far. */
  get length(): number {
    return this.tokens_T.length;
  }

  /** What stands in the row, by its authors. */
  written(): { role: Role; text: string }[] {
    return this.#segments.map(({ role }, index) => ({ role, text: this.#texts[index] }));
  }

  addPrompt(text: string, tokens_T: number[]): void {
    this.#add({ role: "prompt", tokens_T }, text);
  }

  addPolicy(text: string, sample: Sample): void {
    const tokens_T = [...sample.tokens_T];
    this.#isTextOnly ||= sample.text !== undefined;
    this.#add(
      { role: "policy", tokens_T, ...(sample.text === undefined && { logprobs_T: [...sample.logprobs_T] }) },
      text,
    );
  }

  beginSearch(query: string): void {
    this.#onEvent?.({ kind: "search", query });
  }

  endSearch(search: SearchCall): void {
    this.#searches.push(search);
    this.#onEvent?.({ kind: "passages", search });
  }

  addEnvironment(text: string, tokens_T: number[]): void {
    this.#add({ role: "environment", tokens_T }, text);
  }

  finish(finishReason: FinishReason, answer: string | null = null): Trajectory {
    const questionId = this.#questionId;
    const segments = this.#segments;
    const searches = this.#searches;
    const texts = this.#texts;
    const timing = this.timing;
    const cut = this.cutTurns === 0 ? {} : { cutTurns: this.cutTurns };
    const textOnly = this.#isTextOnly ? { textOnly: true as const } : {};
    return { questionId, segments, searches, answer, finishReason, ...textOnly, ...cut, texts, timing };
  }

  #add(segment: Segment, text: string): void {
    if (segment.tokens_T.length === 0) return;
    this.#segments.push(segment);
    this.#texts.push(text);
    for (const token of segment.tokens_T) this.tokens_T.push(token);
  }
}
