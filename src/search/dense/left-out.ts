/** @file Passages that an encoder's endpoint refuses while an index is built: left out, counted and named; too many of them end the build. */
import { isAnswer } from "../../http/chunks.js";
import { UserError } from "../../errors.js";
import type { StoredPassage } from "../../types.js";
import type { SearchOptions } from "../engine.js";
import { joined, passageText, vectorsOf, type Encoder } from "./encoder.js";

/** A passage that an index lacks. */
export interface LeftOut {
  id: string;
  /** Its number in the order of reading, from 0; counted behind the rows of a table that it was to be added to. */
  place: number;
  /** What the endpoint said. */
  why: string;
}

interface Encoded {
  /** Those that have a vector. */
  passages: StoredPassage[];
  /** [passages × dimensions] */
  vectors: Float32Array;
  leftOut: LeftOut[];
}

/**
 * @param first number of the first passage
 * @throws SearchError when the encoder fails; the signal's reason
 */
export async function encodePassages(
  encoder: Encoder,
  passages: readonly StoredPassage[],
  first: number,
  options: SearchOptions = {},
): Promise<Encoded> {
  const answers = await vectorsOf(encoder, passages.map(passageText), "passage", options);
  return {
    passages: passages.filter((_, place) => isAnswer(answers[place])),
    vectors: joined(answers.filter(isAnswer)),
    leftOut: answers.flatMap((answer, index) =>
      isAnswer(answer) ? [] : [{ id: passages[index].id, place: first + index, why: answer.error.message }],
    ),
  };
}

/** Whether a build goes on without so many of the passages read: 20, or a tenth. */
export function mayLack(leftOut: number, read: number): boolean {
  return leftOut <= Math.max(20, read / 10);
}

/**
 * @param read passages read so far, those left out among them
 * @throws UserError when most of an index would be missing, or all
 */
export function checkLeftOut(leftOut: readonly LeftOut[], read: number): void {
  const { length } = leftOut;
  if (length === 0 || (length < read && mayLack(length, read))) return;
  throw new UserError(
    `The encoder's endpoint refuses ${length} of the first ${read} passages, among them ${shown(leftOut)}. Without them the index would be of little use. ` +
      "Make passages smaller (--chunk WORDS), raise the endpoint's limit, or let it cut texts (text-embeddings-inference: --auto-truncate).",
  );
}

/** What the user should know of them; nothing where all are there. */
export function leftOutNotes(leftOut: readonly LeftOut[]): string[] {
  if (leftOut.length === 0) return [];
  const [what, they] = leftOut.length === 1 ? ["1 passage is", "it"] : [`${leftOut.length} passages are`, "them"];
  return [
    `${what} not in the index, since the encoder's endpoint refuses ${they}: ${shown(leftOut)}. Make passages smaller (--chunk WORDS), or let the endpoint cut texts, and build anew.`,
  ];
}

/** The first ids, and the reason of the first. */
function shown(leftOut: readonly LeftOut[]): string {
  const [first, ...others] = leftOut.slice(0, 10);
  const more = leftOut.length > 10 ? ` and ${leftOut.length - 10} more` : "";
  const ids = others.map(({ id }) => `, ${JSON.stringify(id)}`).join("");
  return `${JSON.stringify(first.id)} (${first.why.replace(/\.$/, "")})${ids}${more}`;
}
