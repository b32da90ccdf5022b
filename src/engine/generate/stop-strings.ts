/** @file Finding stop strings in what is being sampled, token by token. */

/** Most tokens that one UTF-8 character can be spread over; a replacement character that lasts longer is real. */
const MAX_TOKENS_PER_CHARACTER = 4;
const REPLACEMENT = "\uFFFD";

/**
 * Watches the text of one sequence. A stop string may span tokens, begin in the middle of one, and hold characters
 * whose bytes are spread over tokens. Only what was sampled is watched, never the prefix. Each token decodes a
 * window of a few tokens: the one before gives tokenizers the context that decides about spaces.
 */
export class StopStringWatch {
  readonly #strings: readonly string[];
  readonly #decode: (tokens: readonly number[]) => string;
  readonly #tailLength: number;
  /** End of the committed text, one character shorter than the longest stop string. */
  #tail = "";
  /** Tokens [contextStart, committedEnd) are context whose text is committed; those after are not yet. */
  #contextStart = 0;
  #committedEnd = 0;

  constructor(strings: readonly string[], decode: (tokens: readonly number[]) => string) {
    this.#strings = strings.filter((string) => string.length > 0);
    this.#decode = decode;
    this.#tailLength = Math.max(0, ...this.#strings.map((string) => string.length)) - 1;
  }

  /** Whether the newest token of `tokens_T` (all that was sampled so far) completes a stop string. */
  completes(tokens_T: readonly number[]): boolean {
    const context = this.#decode(tokens_T.slice(this.#contextStart, this.#committedEnd));
    const window = this.#decode(tokens_T.slice(this.#contextStart));
    const fresh = window.slice(context.length);
    let settled = fresh;
    while (settled.endsWith(REPLACEMENT)) settled = settled.slice(0, -1);
    const text = this.#tail + settled;
    if (this.#strings.some((string) => text.includes(string))) return true;
    if (settled.length === fresh.length || tokens_T.length - this.#committedEnd > MAX_TOKENS_PER_CHARACTER) {
      const committed = this.#tail + fresh;
      this.#tail = this.#tailLength > 0 ? committed.slice(-this.#tailLength) : "";
      this.#contextStart = this.#committedEnd;
      this.#committedEnd = tokens_T.length;
    }
    return false;
  }
}
