/** @file Finding stop strings in what is being sampled, token by token. */

/** Most tokens that one UTF-8 character can be spread over; a replacement character that lasts longer is real. */
const maxTokensPerCharacter = 4;
const replacement = "\uFFFD";

type Decode = (tokens: readonly number[]) => string;

/** By tokenizer and last characters of the stop strings: whether a token's own text has one of them. */
const knownEnds = new WeakMap<Decode, Map<string, Map<number, boolean>>>();

function endsOf(decode: Decode, lastCharacters: string): Map<number, boolean> {
  const byCharacters = knownEnds.get(decode) ?? new Map<string, Map<number, boolean>>();
  knownEnds.set(decode, byCharacters);
  const ends = byCharacters.get(lastCharacters) ?? new Map<number, boolean>();
  byCharacters.set(lastCharacters, ends);
  return ends;
}

/**
 * Watches the text of one sequence. A stop string may span tokens, begin in the middle of one, and hold characters
 * whose bytes are spread over tokens. Only what was sampled is watched, never the prefix. Each token decodes a
 * window of a few tokens: the one before gives tokenizers the context that decides about spaces.
 */
export class StopStringWatch {
  readonly #strings: readonly string[];
  readonly #decode: Decode;
  readonly #tailLength: number;
  /** Last characters of the stop strings; empty when one of them is not ASCII and may be spread over tokens. */
  readonly #lastCharacters: string;
  readonly #ends: Map<number, boolean>;
  /** End of the committed text, one character shorter than the longest stop string. */
  #tail = "";
  /** Tokens [contextStart, committedEnd) are context whose text is committed; those after are not yet. */
  #contextStart = 0;
  #committedEnd = 0;

  constructor(strings: readonly string[], decode: Decode) {
    this.#strings = strings.filter((string) => string.length > 0);
    this.#decode = decode;
    this.#tailLength = Math.max(0, ...this.#strings.map((string) => string.length)) - 1;
    const last = [...new Set(this.#strings.map((string) => string.slice(-1)))].sort().join("");
    this.#lastCharacters = [...last].every((character) => character < "\x80") ? last : "";
    this.#ends = endsOf(decode, this.#lastCharacters);
  }

  /** Whether the newest token of `tokens_T` (all that was sampled so far) completes a stop string. */
  completes(tokens_T: readonly number[]): boolean {
    // Nearly every token is done with here; what is skipped is decoded with the next one that is not.
    if (!this.#mayEnd(tokens_T[tokens_T.length - 1])) return false;
    const context = this.#decode(tokens_T.slice(this.#contextStart, this.#committedEnd));
    const window = this.#decode(tokens_T.slice(this.#contextStart));
    const fresh = window.slice(context.length);
    let settled = fresh;
    while (settled.endsWith(replacement)) settled = settled.slice(0, -1);
    const text = this.#tail + settled;
    if (this.#strings.some((string) => text.includes(string))) return true;
    if (settled.length === fresh.length || tokens_T.length - this.#committedEnd > maxTokensPerCharacter) {
      const committed = this.#tail + fresh;
      this.#tail = this.#tailLength > 0 ? committed.slice(-this.#tailLength) : "";
      this.#contextStart = this.#committedEnd;
      this.#committedEnd = tokens_T.length;
    }
    return false;
  }

  /** Whether the token's text can hold the last character of a stop string. */
  #mayEnd(token: number): boolean {
    if (this.#lastCharacters === "") return true;
    let may = this.#ends.get(token);
    if (may === undefined) {
      const text = this.#decode([token]);
      may = [...this.#lastCharacters].some((character) => text.includes(character));
      this.#ends.set(token, may);
    }
    return may;
  }
}
