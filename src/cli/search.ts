/** @file `sleuth search`: what search engines find, with the words that matched; several engines side by side. */
import { withDeadline } from "../async.js";
import { SearchError } from "../search/engine.js";
import { engineOf, enginesIn } from "../search/locate-index.js";
import { settingsOf } from "../search/contradictions.js";
import { openEngine } from "../search/open.js";
import { defaultEngineSettings } from "../search/settings.js";
import type { EngineSettings } from "../search/settings.js";
import type { SearchEngine } from "../search/engine.js";
import type { Passage } from "../types.js";
import { addEngineOptions, engineSettings } from "./engine-options.js";
import { classify } from "./failure.js";
import { withInterrupt } from "./interrupt.js";
import { integer } from "./run-options.js";
import { askAgainAndAgain } from "./search-prompt.js";
import { showColumns } from "./search-view.js";
import type { Terminal } from "./terminal/terminal.js";
import type { Verb, VerbAnswer } from "./verb.js";

/** What one engine said to a query. */
export type Column = { engine: string; ms: number } & ({ hits: Passage[] } | { error: string; cause: unknown });

export const searchVerb: Verb = {
  name: "search",
  summary: "search an index, a server or the web",
  description:
    "Shows the best passages for a query, with their scores and the matched words. Engines with a comma between them are shown side by side, with a + they are fused into one. Without a query, on a terminal, it asks for queries until an empty line.",
  examples: [
    ['sleuth search "capital of Peru" --index index', "the five best passages"],
    ['sleuth search "capital of Peru" --index index --top 1 --json', "for a program"],
    [
      'sleuth search "capital of Peru" --index index --engine bm25,dense,bm25+dense',
      "two engines and their fusion, side by side",
    ],
    ['sleuth search "capital of Peru" --url http://127.0.0.1:8000/retrieve', "what a /retrieve server finds"],
    ["sleuth search --index index", "a prompt to try queries at"],
  ],
  configure: (command) => {
    command.argument("[query...]", "what to search for");
    addEngineOptions(command);
    command.option("-k, --top <number>", "how many passages", integer(1), 5);
    command.hook("preAction", () => {
      const { index, url, engine, json } = command.opts<Record<string, unknown>>();
      if (index === undefined && url === undefined && engine === undefined)
        command.error("error: required option '--index' not specified (or --url, or --engine for another engine)");
      if (command.args.length === 0 && (json === true || process.stdin.isTTY !== true))
        command.error("error: missing argument 'query'");
    });
  },
  async run(terminal, options, [words]) {
    const { top } = options as { top: number };
    const query = ((words ?? []) as string[]).join(" ");
    const engines = await openColumns(await withEngine(engineSettings(options)), top);
    try {
      const ask = async (text: string, signal: AbortSignal): Promise<Column[]> => {
        const columns = await searchAll(engines, text, top, signal);
        show(terminal, text, columns);
        return columns;
      };
      // An empty query is a query, too: a program that sends it must not be prompted for another.
      if ((words as string[] | undefined)?.length)
        return await withInterrupt(terminal, "Stopping.", async (signal) => answerOf(query, await ask(query, signal)));
      const asked = await askAgainAndAgain({ input: process.stdin, output: process.stderr }, ask);
      return { queries: asked };
    } finally {
      await Promise.allSettled(engines.flatMap(({ engine }) => (engine === undefined ? [] : [engine.close()])));
    }
  },
};

/** The settings with an engine: where none is named, the first whose index the folder holds. */
async function withEngine(settings: Partial<EngineSettings>): Promise<Partial<EngineSettings>> {
  if (settings.engine !== undefined || settings.index === undefined) return settings;
  const engine = (await engineOf(settings.index)) ?? (await enginesIn(settings.index))[0];
  return engine === undefined ? settings : { ...settings, engine };
}

interface OpenColumn {
  name: string;
  timeoutMs: number;
  engine?: SearchEngine;
  /** Why it could not be opened. */
  failure?: unknown;
}

/** Opens all engines at once. One that cannot be opened is a column that says so, unless it is the only one. */
async function openColumns(settings: Partial<EngineSettings>, topK: number): Promise<OpenColumn[]> {
  const names = (settings.engine ?? defaultEngineSettings.engine).split(",").map((name) => name.trim());
  const { timeoutMs = defaultEngineSettings.timeoutMs } = settings;
  if (names.length === 1)
    return [{ name: names[0], timeoutMs, engine: await openEngine({ ...settings, engine: names[0], topK }) }];
  return Promise.all(
    names.map(async (name) => {
      try {
        return { name, timeoutMs, engine: await openEngine({ ...settingsOf(name, settings), topK }) };
      } catch (failure) {
        return { name, timeoutMs, failure };
      }
    }),
  );
}

function searchAll(columns: readonly OpenColumn[], query: string, top: number, signal: AbortSignal): Promise<Column[]> {
  return Promise.all(
    columns.map(async ({ name, engine, failure, timeoutMs }) => {
      const started = performance.now();
      const elapsed = (): number => performance.now() - started;
      try {
        if (engine === undefined) throw failure;
        const options = { timeoutMs, signal, late: () => tooLate(name, timeoutMs) };
        const [hits] = await withDeadline((inner) => engine.searchBatch([query], top, { signal: inner }), options);
        return { engine: name, ms: elapsed(), hits };
      } catch (cause) {
        signal.throwIfAborted();
        return { engine: name, ms: elapsed(), error: classify(cause)?.message ?? String(cause), cause };
      }
    }),
  );
}

function tooLate(engine: string, timeoutMs: number): SearchError {
  const message = `There was no answer within ${timeoutMs / 1000} s. Allow more with --timeout-ms.`;
  return new SearchError(message, { engine, isRetryable: true });
}

/** @throws the failure of a search that has only one engine */
function show(terminal: Terminal, query: string, columns: readonly Column[]): void {
  if (columns.length === 1 && "error" in columns[0]) throw columns[0].cause;
  showColumns(terminal, query, columns);
}

/** What --json prints. With one engine, its hits stand at the top. */
function answerOf(query: string, columns: readonly Column[]): VerbAnswer {
  const told = columns.map((column) =>
    "error" in column
      ? { engine: column.engine, ms: column.ms, error: column.error }
      : { engine: column.engine, ms: column.ms, hits: column.hits },
  );
  if (told.length === 1) return { query, ...told[0] };
  return { query, engines: told, exitStatus: told.every((one) => "error" in one) ? 1 : 0 };
}
