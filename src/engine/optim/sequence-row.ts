/** @file Sequences as training reads them, and numbers for each of their positions on the way to the graphs and back. */
import type { Feed } from "../runtime/session.js";

/** One sequence as the graphs read it: the positions to compute, ascending, never 0. */
export interface SequenceRow {
  tokens_T: readonly number[];
  positions: number[];
  /** Leading tokens that predict nothing, of a sequence that may share their computation. */
  prefix: number;
}

/** The row of a sequence whose tokens before the one that predicts its first position are its prompt. */
export function rowOf(tokens_T: readonly number[], isWanted: (t: number) => boolean): SequenceRow {
  const positions: number[] = [];
  for (let t = 1; t < tokens_T.length; t++) if (isWanted(t)) positions.push(t);
  return { tokens_T, positions, prefix: Math.max(0, (positions[0] ?? 0) - 1) };
}

/** The row that asks for every token, or for the tokens of a mask. */
export function maskedRow(tokens_T: readonly number[], mask_T: Uint8Array | undefined): SequenceRow {
  if (mask_T && mask_T.length !== tokens_T.length) {
    throw new Error(`internal: ${tokens_T.length} tokens with a mask of ${mask_T.length}`);
  }
  return rowOf(tokens_T, (t) => !mask_T || mask_T[t] === 1);
}

/** Tokens that go through the model: all but the last wanted one and what follows it. */
export const computedLength = ({ positions }: SequenceRow): number => positions.at(-1) ?? 0;

/** One number per wanted position of the rows. */
export function perPosition(
  rows: readonly SequenceRow[],
  indices: readonly number[],
  valuesOf: (index: number) => ArrayLike<number>,
): Feed {
  const data = Float32Array.from(
    indices.flatMap((index) => {
      const values = valuesOf(index);
      return rows[index].positions.map((position) => values[position]);
    }),
  );
  return { data, dims: [data.length] };
}

/** Puts the rows' values back at their sequences' positions. */
export function scatterRows(
  rows: readonly SequenceRow[],
  indices: readonly number[],
  values: Float32Array,
  result: readonly Float32Array[],
): void {
  let next = 0;
  for (const index of indices) for (const position of rows[index].positions) result[index][position] = values[next++];
}

/** An array of the sequence's length for each row. */
export const zerosFor = (rows: readonly SequenceRow[]): Float32Array[] =>
  rows.map(({ tokens_T }) => new Float32Array(tokens_T.length));
