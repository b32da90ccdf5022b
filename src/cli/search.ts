/** @file `sleuth search`: what search engines find, with the words that matched; several engines side by side. */
import type { Command } from "commander";
import { withDeadline } from "../async.js";
import { UserError } from "../errors.js";
import { oneLine } from "../printable.js";
import type { Passage } from "../types.js";
import { addEngineOptions, engineSettings } from "./engine-options.js";
import { classify } from "./failure.js";
import { withInterrupt } from "./interrupt.js";
import { integer } from "./run-options.js";
import { closeColumns, openColumns, tooLate, withEngine, type OpenColumn } from "./search-engines.js";
import { answerPiped, isPiped } from "./search-piped.js";
import { askAgainAndAgain } from "./search-prompt.js";
import { measureWorth, worthTop, type WorthOptions } from "./search-questions.js";
import { showColumns } from "./search-view.js";
import type { Terminal } from "./terminal/terminal.js";
import type { Verb, VerbAnswer } from "./verb.js";

/** What one engine said to a query. */
export type Column = { engine: string; ms: number } & ({ hits: Passage[] } | { error: string; cause: unknown });

export const searchVerb: Verb = {
  name: "search",
  summary: "search an index, a server or the web; measure what it is worth",
  description: [
    "Shows the best passages for a query, with their scores and the matched words. Engines with a comma between them are shown side by side, with a + they are fused into one. Without a query, on a terminal, it asks for queries until an empty line; through a pipe it takes a query a line, and --json then prints a line for each.",
    "With --questions it measures what the engine is worth: for how many questions an answer stands in the first 1, 3 and 10 passages, with 95 % intervals, and which questions it does not help. Several engines are compared over the same questions. An answer may stand in a passage without being evidence (a year, a yes), and a question of several hops need not be answered by one search.",
  ].join("\n\n"),
  examples: [
    ['sleuth search "capital of Peru" --index index', "the five best passages"],
    ['sleuth search "capital of Peru" --index index --top 1 --json', "for a program"],
    [
      'sleuth search "capital of Peru" --index index --engine bm25,dense,bm25+dense',
      "two engines and their fusion, side by side",
    ],
    ['sleuth search "capital of Peru" --url http://127.0.0.1:8000/retrieve', "what a /retrieve server finds"],
    ["sleuth search --index index", "a prompt to try queries at"],
    ["sleuth search --index index --json < queries.txt", "a query a line, an answer a line"],
    ["sleuth search --questions q.jsonl --index index --engine bm25,dense", "what two engines are worth for questions"],
    [
      "sleuth search --questions q.jsonl --index index --out hits.jsonl",
      "and the rank of the first hit of each question",
    ],
  ],
  configure: (command) => {
    command.argument("[query...]", "what to search for");
    addEngineOptions(command);
    command
      .option("-k, --top <number>", "how many passages (default: 5; 10 with --questions)", integer(1))
      .option("--questions <file>", "measure how often an answer to these questions is found")
      .option("--limit <number>", "with --questions: at most so many", integer(1))
      .option("--out <file>", "with --questions: write ranks and passages here, one JSON object per question")
      .hook("preAction", () => checkOptions(command));
  },
  async run(terminal, options, [words = []]) {
    const { questions, top = questions === undefined ? usualTop : worthTop } = options as Options;
    const settings = await withEngine(engineSettings(options));
    const columns = await openColumns(settings, top);
    try {
      if (questions !== undefined)
        return await withInterrupt(terminal, stopping, (signal) =>
          measureWorth(terminal, columns, { ...(options as Options), questions, top }, signal),
        );
      const ask: Ask = (query, signal) => searchAll(columns, query, top, signal);
      // An empty query is a query, too: a program that sends it must not be prompted for another.
      const given = words as string[];
      if (given.length > 0)
        return await withInterrupt(terminal, stopping, (signal) => askOnce(terminal, given.join(" "), ask, signal));
      if (isPiped()) return await withInterrupt(terminal, stopping, (signal) => askPiped(terminal, ask, signal));
      const asked = await askAgainAndAgain({ input: process.stdin, output: process.stderr }, (query, signal) =>
        askOnce(terminal, query, ask, signal),
      );
      return { queries: asked };
    } finally {
      await closeColumns(columns);
    }
  },
};

type Options = Partial<WorthOptions>;
type Ask = (query: string, signal: AbortSignal) => Promise<Column[]>;

/** Passages that are shown. */
const usualTop = 5;
const stopping = "Stopping.";

function checkOptions(command: Command): void {
  const { index, url, engine, json, questions, limit, out } = command.opts<Record<string, unknown>>();
  if (index === undefined && url === undefined && engine === undefined)
    command.error("error: required option '--index' not specified (or --url, or --engine for another engine)");
  const alone = Object.entries({ limit, out }).find(([, value]) => value !== undefined);
  if (questions === undefined && alone !== undefined) command.error(`error: --${alone[0]} goes with --questions`);
  if (questions !== undefined && command.args.length > 0)
    command.error("error: a query and --questions were given; leave one of them out");
  if (questions !== undefined || command.args.length > 0 || isPiped()) return;
  if (json === true || process.stdin.isTTY !== true)
    command.error("error: missing argument 'query' (or queries through a pipe, or --questions)");
}

async function askOnce(terminal: Terminal, query: string, ask: Ask, signal: AbortSignal): Promise<VerbAnswer> {
  const columns = await ask(query, signal);
  show(terminal, query, columns);
  return answerOf(query, columns);
}

/** Under --json, a line for each query and nothing behind them. A query that fails says so, and the next one is answered. */
async function askPiped(terminal: Terminal, ask: Ask, signal: AbortSignal): Promise<VerbAnswer> {
  let exitStatus = 0;
  const answer = (query: string, columns: readonly Column[]): void => {
    const { exitStatus: status = 0, ...told } = answerOf(query, columns);
    if (status !== 0) exitStatus = 1;
    if (terminal.json) return terminal.answer(told);
    terminal.print(terminal.colors.bold(oneLine(query)));
    showColumns(terminal, query, columns);
    terminal.print();
  };
  const count = await answerPiped(process.stdin, (query) => ask(query, signal), answer, signal);
  if (count === 0) throw new UserError("No query came through the pipe. Write one a line.");
  return { exitStatus };
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
  if (told.length === 1) return { query, ...told[0], exitStatus: "error" in told[0] ? 1 : 0 };
  return { query, engines: told, exitStatus: told.every((one) => "error" in one) ? 1 : 0 };
}
