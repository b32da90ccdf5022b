/**
 * @file Many items in few requests, where one item must not take its neighbours along: a request that the server refuses is sent again in
 * halves, down to the item that it does not take (a text beyond the model's limit, a query that is too long).
 */
import { mapConcurrent } from "../async.js";

/** Stands in the place of an answer: the server refuses this item. */
export class Refused {
  /** What the request for the item failed with. */
  readonly error: Error;

  constructor(error: Error) {
    this.error = error;
  }
}

/** Whether it is an answer. */
export function isAnswer<Answer>(given: Answer | Refused): given is Answer {
  return !(given instanceof Refused);
}

/** Statuses that speak of what was sent. 401, 403 and 404 speak of the caller or the address: they fail the whole call. */
const refusals: ReadonlySet<unknown> = new Set([400, 413, 414, 422]);

/** Whether an error with a status says that the server does not take what it was sent. */
export function isRefusal(error: unknown): error is Error {
  return error instanceof Error && refusals.has((error as { status?: unknown }).status);
}

/** So many items are tried alone before a server that has taken none is believed to refuse every request. */
const triesAlone = 3;

interface Chunking<Item> {
  /** Most requests at once. */
  concurrency: number;
  /** How large an item is; the smallest shows whether the server takes anything at all. */
  sizeOf: (item: Item) => number;
}

/** At most `size` items each. */
export function chunksOf<Item>(items: readonly Item[], size: number): Item[][] {
  const count = Math.ceil(items.length / size);
  return Array.from({ length: count }, (_, chunk) => items.slice(chunk * size, (chunk + 1) * size));
}

/**
 * The answers to the items of all chunks, in their order, each chunk asked for by `isolateRefused`. When the server has refused several items
 * alone and taken none, chunks not yet begun are refused unasked.
 * @throws the first failure that is no refusal, after which no further chunk is asked for; the signal's reason
 */
export async function askChunks<Item, Answer>(
  chunks: readonly (readonly Item[])[],
  { concurrency, sizeOf }: Chunking<Item>,
  signal: AbortSignal,
  ask: (items: readonly Item[], signal: AbortSignal) => Promise<readonly Answer[]>,
): Promise<(Answer | Refused)[]> {
  let hasAnswered = false;
  let triedAlone = 0;
  let last: Refused | undefined;
  const answers = await mapConcurrent(
    chunks,
    concurrency,
    async (chunk, until): Promise<(Answer | Refused)[]> => {
      const given = last;
      if (!hasAnswered && given !== undefined && triedAlone >= 2 * triesAlone) return chunk.map(() => given);
      const own = await isolateRefused(chunk, (items) => ask(items, until), sizeOf);
      last = own.find((answer) => answer instanceof Refused) ?? last;
      if (own.every((answer) => answer instanceof Refused)) triedAlone += Math.min(own.length, triesAlone);
      else hasAnswered = true;
      return own;
    },
    { signal },
  );
  return answers.flat();
}

/**
 * Asks for all items at once. Where the server refuses them together, it is asked for each half, down to single items; `Refused` stands in the
 * place of those that it does not take. One such item of n costs about 2·log2(n) further requests, and all of them but one fewer than 2n. A
 * server that takes nothing is asked log2(n) + 3 times: after three items alone, the smallest among them, all are refused.
 * @throws failures that are no refusals
 */
export async function isolateRefused<Item, Answer>(
  items: readonly Item[],
  ask: (items: readonly Item[]) => Promise<readonly Answer[]>,
  sizeOf: (item: Item) => number,
): Promise<(Answer | Refused)[]> {
  const answers = new Array<Answer | Refused | undefined>(items.length).fill(undefined);
  let hasAnswered = false;
  let triedAlone = 0;
  const settle = async (places: readonly number[]): Promise<void> => {
    const open = places.filter((place) => answers[place] === undefined);
    if (open.length === 0) return;
    try {
      const given = await ask(open.map((place) => items[place]));
      hasAnswered = true;
      for (const [index, place] of open.entries()) answers[place] = given[index];
    } catch (error) {
      if (!isRefusal(error)) throw error;
      if (open.length === 1) {
        answers[open[0]] = new Refused(error);
        if (!hasAnswered) await tryAnother(error);
        return;
      }
      const half = Math.ceil(open.length / 2);
      await settle(open.slice(0, half));
      await settle(open.slice(half));
    }
  };
  /** After an item that was refused alone, when nothing has been taken yet: is it the item, or is it every request? */
  const tryAnother = async (error: Error): Promise<void> => {
    const open = [...items.keys()].filter((place) => answers[place] === undefined);
    if (open.length === 0) return;
    if (++triedAlone >= triesAlone) {
      for (const place of open) answers[place] = new Refused(error);
      return;
    }
    await settle([open.reduce((one, other) => (sizeOf(items[other]) < sizeOf(items[one]) ? other : one))]);
  };
  await settle([...items.keys()]);
  return answers as (Answer | Refused)[];
}
