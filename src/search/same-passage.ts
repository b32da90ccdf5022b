/** @file Which passages are one. An id is a key only together with the text: chunks of one document may share its id. */
import type { StoredPassage } from "../types.js";

/**
 * Values by passage. Two passages are one when id and text are the same, spacing apart; without an id, when title and text are. Engines may
 * know different titles of one passage.
 */
export class PassageMap<Value> {
  /** Hardly ever more than one entry for an id. */
  readonly #entriesOf = new Map<string, { passage: StoredPassage; value: Value }[]>();

  /** @param isSame what also makes a passage with the same id the same one, by its value */
  get(passage: StoredPassage, isSame: (value: Value) => boolean = () => false): Value | undefined {
    const entries = this.#entriesOf.get(keyOf(passage));
    return entries?.find((entry) => haveSameText(passage, entry.passage) || isSame(entry.value))?.value;
  }

  /** Adds a passage that is not there yet. */
  add(passage: StoredPassage, value: Value): void {
    const key = keyOf(passage);
    const entries = this.#entriesOf.get(key);
    if (entries === undefined) this.#entriesOf.set(key, [{ passage, value }]);
    else entries.push({ passage, value });
  }
}

/** Whether the texts are the same, spacing apart. */
function haveSameText({ text: one }: StoredPassage, { text: other }: StoredPassage): boolean {
  return one === other || (one !== "" && spaced(one) === spaced(other));
}

function spaced(text: string): string {
  return text.trim().replace(/\s+/g, " ");
}

function keyOf({ id, title, text }: StoredPassage): string {
  return id === "" ? `text ${title}\n${text}` : `id ${id}`;
}

/** The list without passages that it holds already. */
export function withoutRepeats<Item extends StoredPassage>(list: readonly Item[]): Item[] {
  const seen = new PassageMap<true>();
  return list.filter((passage) => {
    if (seen.get(passage) === true) return false;
    seen.add(passage, true);
    return true;
  });
}
