/** @file `sleuth index --add, --delete, --merge`: an index that is there changes. */
import { readFileSync } from "node:fs";
import { UserError } from "../../errors.js";
import { addToIndex, deleteFromIndex, mergeIndex } from "../../search/bm25/change.js";
import { readCorpus } from "../../search/documents/corpus.js";
import { asNamed, type Encoder } from "../../search/dense/encoder.js";
import { LanceTable } from "../../search/dense/lancedb/build.js";
import { LancePassages } from "../../search/dense/lancedb/passages.js";
import { checkLeftOut, leftOutNotes, type LeftOut } from "../../search/dense/left-out.js";
import { openEncoder } from "../../search/dense/open-encoder.js";
import { engineOf, enginesIn, locateIndex } from "../../search/locate-index.js";
import type { IndexedEngine } from "../../search/locate-index.js";
import { encoderSource, lanceTable, tellNoResume } from "./engines.js";
import { Bm25Progress } from "./progress.js";
import type { IndexOptions } from "./corpus.js";
import { withSources } from "./sources.js";
import { count, plural } from "../terminal/format.js";
import type { Terminal } from "../terminal/terminal.js";
import type { VerbAnswer } from "../verb.js";
import { shellWord } from "../../printable.js";

interface Change {
  terminal: Terminal;
  options: IndexOptions;
  /** Folder of the engine's index. */
  folder: string;
  signal: AbortSignal;
  deleted: readonly string[];
  /** JSONL files to add; undefined without --add. */
  corpus?: readonly string[];
}

/** What was done, for --json: `{ added, replaced, deleted, unknown, passages, … }` */
type Changed = Record<string, unknown> & { passages: number };

/** Deletes first, then adds, then merges, as far as each was asked for, in every engine's index. */
export async function changeIndexes(
  terminal: Terminal,
  options: IndexOptions,
  signal: AbortSignal,
): Promise<VerbAnswer> {
  const { out, add } = options;
  const engines = options.engine ?? (await enginesAt(out));
  const changeable = engines.filter((engine) => engine !== "dense");
  if (changeable.length < engines.length)
    throw new UserError(
      `A dense index does not change: build it anew with \`sleuth index PATHS --engine dense --out ${shellWord(out)}\`. An index of lancedb takes additions and deletions; --engine ${changeable.join(",") || "lancedb"} changes the others.`,
    );
  const deleted = (options.delete ?? []).flatMap(idsIn);
  const changeAll = async (corpus?: readonly string[]): Promise<VerbAnswer> => {
    const changed: Record<string, Changed> = {};
    for (const engine of changeable) {
      const folder = await locateIndex(out, engine);
      changed[engine] = await changers[engine as "bm25" | "lancedb"]({
        ...{ terminal, options, folder, signal, deleted, corpus },
      });
      tell(terminal, engine, changed[engine], out);
    }
    const [only, ...others] = Object.values(changed);
    return { out, ...(others.length === 0 ? only : {}), engines: changed };
  };
  if (add !== true) return changeAll();
  return withSources(terminal, options, signal, async ({ corpus, gathered }) => ({
    ...(await changeAll(corpus)),
    ...gathered,
  }));
}

const changers = {
  async bm25({ terminal, options, folder, signal, deleted, corpus }: Change): Promise<Changed> {
    let changed: Changed = { passages: 0 };
    if (deleted.length > 0) changed = { ...changed, ...(await deleteFromIndex({ folder, ids: deleted, signal })) };
    if (corpus !== undefined) {
      tellNoResume(terminal, options);
      const progress = new Bm25Progress(terminal);
      const added = await addToIndex({ folder, corpus, replace: options.replace, signal, ...progress.calls });
      progress.stop();
      changed = { ...changed, ...added };
    }
    if (options.merge === true) changed = { ...changed, ...(await mergeIndex({ folder, signal })) };
    return changed;
  },

  async lancedb({ terminal, options, folder, signal, deleted, corpus }: Change): Promise<Changed> {
    const encoder = corpus === undefined ? undefined : await encoderFor(folder, options);
    try {
      const table = await LanceTable.open({ address: folder, table: lanceTable, encoder });
      try {
        const before = table.count;
        await table.delete(deleted);
        const left = table.count;
        let seen = 0;
        const leftOut: LeftOut[] = [];
        if (corpus !== undefined)
          for await (const passages of readCorpus(corpus, { signal })) {
            leftOut.push(...(await table.add({ passages }, { signal })));
            seen += passages.length;
            checkLeftOut(leftOut, seen);
          }
        if (options.merge === true) await table.optimize();
        const added = table.count - left;
        const replaced = seen - leftOut.length - added;
        for (const note of leftOutNotes(leftOut)) terminal.note(note);
        return { passages: table.count, deleted: before - left, added, replaced, leftOut };
      } finally {
        await table.close();
      }
    } finally {
      await encoder?.close();
    }
  },
};

/** The encoder that was named, else the one that the table remembers. */
async function encoderFor(folder: string, options: IndexOptions): Promise<Encoder> {
  const passages = await LancePassages.open({ address: folder, table: lanceTable });
  const { encoderSource: source, encoder: name } = passages;
  await passages.close();
  if (options.encoder !== undefined) return openEncoder(asNamed(encoderSource(options), name));
  if (source === undefined)
    throw new UserError(`The table in ${folder} does not say what made its vectors. Name it with --encoder.`);
  return openEncoder(asNamed(source, name), { isFromIndex: true });
}

/** @throws UserError where there is no index */
async function enginesAt(out: string): Promise<IndexedEngine[]> {
  const own = await engineOf(out);
  const found = own === undefined ? await enginesIn(out) : [own];
  if (found.length > 0) return found;
  throw new UserError(
    `There is no index in ${out} to change. Build it with \`sleuth index PATHS --out ${shellWord(out)}\`.`,
  );
}

/** "17,18" or "@ids.txt". */
function idsIn(text: string): string[] {
  if (!text.startsWith("@")) return text.split(",").filter((id) => id !== "");
  try {
    return readFileSync(text.slice(1), "utf8")
      .split(/\r?\n/)
      .filter((id) => id !== "");
  } catch (cause) {
    throw new UserError(`${text.slice(1)} cannot be read (${(cause as Error).message}). It holds ids, one a line.`, {
      cause,
    });
  }
}

function tell(terminal: Terminal, engine: string, changed: Changed, out: string): void {
  const { deleted, added, replaced, unknown, mergeFailure, passages } = changed;
  const parts = Object.entries({ deleted, added, replaced }).flatMap(([what, many]) =>
    typeof many === "number" && many > 0 ? [`${count(many)} ${what}`] : [],
  );
  terminal.print(`${engine}: ${[...parts, plural(passages, "passage")].join(", ")} → ${out}`);
  if (Array.isArray(unknown) && unknown.length > 0)
    terminal.note(
      `No passage has ${unknown.length === 1 ? "the id" : "the ids"} ${unknown.slice(0, 5).join(", ")}${unknown.length > 5 ? `, and ${unknown.length - 5} more` : ""}.`,
    );
  if (typeof mergeFailure === "string")
    terminal.note(`Merging afterwards failed; the change is committed. ${mergeFailure}`);
}
