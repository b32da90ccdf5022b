/**
 * @file From a server's reply to a turn as a rollout knows it: it ends right behind the first stop string. Servers leave that string out of the text (and
 * count it), or keep it, or go on past it, and some repeat the prompt.
 */
import type { Sample, StopConditions, StopReason } from "../../contracts/policy.js";
import type { Tokenizer } from "../../types.js";
import type { Reply } from "./reply.js";

export type TagPair = readonly [open: string, close: string];

interface Ended {
  text: string;
  stopReason: StopReason;
  /** It went on past the stop string. */
  ranOn: boolean;
}

/**
 * The text of a turn up to and with its first stop string, which is put back where the server has left it out: the one that the server names or, where it
 * names none, the one that closes the first tag which stands open. A text that ends since no more tokens were wanted stays as it is.
 * @param pairs opening and closing tags; of stop strings that close none, nothing is known
 */
export function endedText(
  { text, stopReason, stoppedAt }: Pick<Reply, "text" | "stopReason" | "stoppedAt">,
  stops: readonly string[],
  pairs: readonly TagPair[],
): Ended {
  const ends = stops.flatMap((stop) => (text.includes(stop) ? [text.indexOf(stop) + stop.length] : []));
  if (ends.length > 0) {
    const end = Math.min(...ends);
    return { text: text.slice(0, end), stopReason: "stop", ranOn: text.slice(end).trim() !== "" };
  }
  const isTold = stoppedAt !== undefined;
  const missing = isTold ? stops.find((stop) => stop === stoppedAt) : firstOpen(text, stops, pairs);
  const left = stopReason === "length" ? undefined : missing;
  return { text: text + (left ?? ""), stopReason, ranOn: false };
}

/** The stop string that closes the first opening tag in the text. */
function firstOpen(text: string, stops: readonly string[], pairs: readonly TagPair[]): string | undefined {
  return pairs
    .filter(([open, close]) => stops.includes(close) && text.includes(open))
    .sort(([a], [b]) => text.indexOf(a) - text.indexOf(b))[0]?.[1];
}

interface Cut {
  ids: readonly number[];
  stopReason: StopReason;
  ranOn: boolean;
}

/** The ids up to the first that meets a stop condition, which is kept. */
export function endedIds(
  ids: readonly number[],
  stopReason: StopReason,
  stop: StopConditions,
  tokenizer: Tokenizer,
): Cut {
  const { tokens = [], strings = [] } = stop;
  const atToken = ids.findIndex((id) => tokens.includes(id)) + 1;
  const atString = strings.length === 0 ? 0 : shortestWith(ids, strings, tokenizer);
  const ends = [atToken, atString].filter((count) => count > 0);
  if (ends.length === 0) return { ids, stopReason, ranOn: false };
  const length = Math.min(...ends);
  return { ids: ids.slice(0, length), stopReason: "stop", ranOn: length < ids.length };
}

/** How many ids it takes until their text holds one of the strings; 0 where it never does. */
function shortestWith(ids: readonly number[], strings: readonly string[], tokenizer: Tokenizer): number {
  const holds = (count: number): boolean => {
    const text = tokenizer.decode(ids.slice(0, count));
    return strings.some((string) => text.includes(string));
  };
  if (!holds(ids.length)) return 0;
  let [least, most] = [1, ids.length];
  while (least < most) {
    const middle = (least + most) >> 1;
    if (holds(middle)) most = middle;
    else least = middle + 1;
  }
  return most;
}

/** Whether ids are those of a text, as far as both go: a server leaves special tokens and stop strings out of the text. */
export function areOf(ids: readonly number[], text: string, tokenizer: Tokenizer): boolean {
  const special = [...tokenizer.specialTokens.keys()].filter((token) => token !== "");
  const bare = (one: string): string => special.reduce((rest, token) => rest.replaceAll(token, ""), one).trim();
  const [decoded, told] = [bare(tokenizer.decode(ids)), bare(text)];
  // A text that ends inside a character has a replacement character there.
  const whole = told.replace(/\ufffd+$/, "");
  return decoded.startsWith(whole) || told.startsWith(decoded);
}

/** A turn of which only the text is known, as a sample. */
export function textSample({ text, stopReason }: Pick<Ended, "text" | "stopReason">, tokenizer: Tokenizer): Sample {
  // A turn without any token would be no turn.
  const written = text === "" ? "\n" : text;
  const tokens_T = tokenizer.encode(written);
  return { tokens_T, logprobs_T: tokens_T.map(() => 0), stopReason, text: written };
}
