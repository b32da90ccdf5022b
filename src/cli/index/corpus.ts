/** @file `sleuth index`: JSONL files and people's documents become an index, or change one. */
import { Option } from "commander";
import type { Command } from "commander";
import { UserError } from "../../errors.js";
import { defaultBm25 } from "../../search/bm25/settings.js";
import { defaultChunks } from "../../search/documents/chunk.js";
import { documentEndings } from "../../search/documents/read.js";
import { indexedEngines } from "../../search/locate-index.js";
import type { IndexedEngine } from "../../search/locate-index.js";
import { changeIndexes } from "./changes.js";
import { buildIndexes, refuseOtherKinds } from "./engines.js";
import { showPreview } from "./preview.js";
import { showStats } from "./stats.js";
import { withSources } from "./sources.js";
import { withInterrupt } from "../interrupt.js";
import { collect, integer, numberOption } from "../run-options.js";
import { printNext } from "../run-result.js";
import { duration, plural } from "../terminal/format.js";
import type { Terminal } from "../terminal/terminal.js";
import type { Verb, VerbAnswer } from "../verb.js";
import { shellWord } from "../../printable.js";

/** The options of `sleuth index`. */
export interface IndexOptions {
  paths: string[];
  out: string;
  /** Default: bm25 for a new index; for one that is there, whatever is there. */
  engine?: IndexedEngine[];
  k1?: number;
  b?: number;
  stemmer: "porter" | "none";
  /** False with --no-stop-words: no word is dropped. */
  stopWords: boolean;
  encoder?: string;
  encoderModel?: string;
  vectors?: string;
  dimensions?: number;
  chunk: number;
  chunkTokens: number;
  tokenizer?: string;
  overlap: number;
  baseUrl?: string;
  include?: string[];
  exclude?: string[];
  strict?: boolean;
  keepRepeats?: boolean;
  preview?: number;
  /** False with --no-resume. */
  resume: boolean;
  add?: boolean;
  replace?: boolean;
  delete?: string[];
  merge?: boolean;
  stats?: string;
}

export const indexVerb: Verb = {
  name: "index",
  summary: "make a search index of a corpus or of documents",
  description: [
    'Makes an index of JSONL files (plain or .gz) and of documents. A line of JSONL is {"id","contents"} as in Search-R1, with the title in quotes on the first line of contents, or {"id","title","text"}.',
    `Folders are searched for documents (${documentEndings.join(" ")}), which are cut at their headings into passages of --chunk words at most; hidden files and node_modules are left out.`,
    "The index is ready or it is not there: a failed build leaves the one that was in the folder before (but see --no-resume). After Ctrl-C or a crash, run the same command again: reading documents and making vectors go on where they were; a bm25 index is built anew.",
  ].join("\n\n"),
  examples: [
    ["sleuth index passages.jsonl --out index", "one file"],
    ["sleuth index --stats index --tokenizer models/mine", "what an index holds, and whether a model can read it"],
    ["sleuth index ~/notes handbook.pdf --out notes", "a folder of documents, and one more"],
    ["sleuth index ~/notes --out notes --preview 5", "the first passages that would be made; nothing is written"],
    [
      "sleuth index wiki-*.jsonl.gz --out wiki --k1 1.2 --b 0.75",
      "several files as one corpus, with Lucene's own constants",
    ],
    [
      "sleuth index passages.jsonl --engine bm25,dense --encoder hf:intfloat/e5-small-v2 --out index",
      "for two engines, in index/bm25 and index/dense",
    ],
    [
      "sleuth index passages.jsonl --engine lancedb --vectors e5.npy --encoder hf:intfloat/e5-base-v2 --out index",
      "with vectors made elsewhere",
    ],
    ["sleuth index --add more.jsonl --out index", "more passages for an index"],
    ["sleuth index --delete 17,18 --out index", "fewer; --delete @ids.txt reads one id a line"],
  ],
  configure: (command) => {
    command
      .argument("[paths...]", "JSONL files, documents and folders of documents")
      .option("--out <folder>", "where the index goes; an index that is there is replaced")
      .option(
        "--engine <names>",
        `what the index is for: ${indexedEngines.join(", ")}, or several with commas`,
        engineList,
      );
    addBm25Options(command);
    command
      .option(
        "--encoder <model>",
        "dense, lancedb: what makes the vectors: a folder, hf:ORG/NAME or the address of an /v1/embeddings endpoint",
      )
      .option("--encoder-model <name>", "dense, lancedb: the model's name at an endpoint")
      .option(
        "--vectors <file>",
        "dense, lancedb: vectors made elsewhere, in the order of the corpus (.npy, .parquet, .f32); --encoder says by what",
      )
      .option("--dimensions <number>", "numbers in a vector, for raw .f32 files", integer(1))
      .option("--chunk <words>", "documents: most words of a passage", integer(10), defaultChunks.words)
      .option(
        "--chunk-tokens <tokens>",
        "documents: most tokens that a passage alone takes in an observation, its title and what stands around it included; estimated without --tokenizer",
        integer(40),
        defaultChunks.tokens,
      )
      .option(
        "--tokenizer <model>",
        "documents, --stats: count tokens with the tokenizer of this model, a folder or a .gguf file",
      )
      .option(
        "--base-url <address>",
        "documents: address of the folders that are named; each passage then has its document's address",
      )
      .option(
        "--overlap <words>",
        "documents: words that a passage repeats of the one before",
        integer(0),
        defaultChunks.overlap,
      )
      .option(
        "--include <pattern>",
        "folders: read only files that fit, as *.md or guides/**; may be repeated",
        collect,
      )
      .option("--exclude <pattern>", "folders: leave out what fits; may be repeated", collect)
      .option("--strict", "a document that cannot be read is an error; without it, it is left out and named")
      .option(
        "--keep-repeats",
        "documents: keep what stands in them more than once: passages with one text, a page in two formats, lines that most of a folder begin or end with",
      )
      .addOption(
        new Option("--preview [number]", "show the first passages that would be made, and write nothing")
          .preset("5")
          .argParser(integer(1)),
      )
      .option(
        "--no-resume",
        "begin anew, whatever an interrupted command has done; lancedb then deletes the table that is there first (bm25 always begins anew)",
      )
      .option("--add", "add to the index that is there")
      .option(
        "--replace",
        "with --add: a passage whose id is there takes its place; without it, that is an error (lancedb always replaces)",
      )
      .option(
        "--delete <ids>",
        "delete these from the index that is there: ids with commas, or @FILE with one a line; may be repeated",
        collect,
      )
      .option("--merge", "bring the index that is there into its fastest form")
      .option(
        "--stats <folder>",
        "tell what the index in this folder holds; with --tokenizer also which share of it fits --chunk-tokens",
      )
      .hook("preAction", () => {
        const { out, stats } = command.opts<Partial<IndexOptions>>();
        if (out === undefined && stats === undefined) command.error("error: required option '--out' not specified");
      });
  },
  async run(terminal, given, [paths]) {
    const options = { ...given, paths: paths ?? [] } as unknown as IndexOptions;
    const { stats, tokenizer, chunkTokens } = options;
    if (stats !== undefined)
      return withInterrupt(terminal, "Stopping.", (signal) =>
        showStats(terminal, { stats, tokenizer, within: chunkTokens }, signal),
      );
    check(options);
    const started = performance.now();
    const answer = await withInterrupt(
      terminal,
      "Stopping; the same command goes on from here (bm25 begins anew).",
      (signal) => work(terminal, options, signal),
    );
    return { ...answer, seconds: (performance.now() - started) / 1000 };
  },
};

function addBm25Options(command: Command): void {
  command
    .option("--k1 <number>", `bm25: saturation of term frequency (default: ${defaultBm25.k1})`, numberOption)
    .option("--b <number>", `bm25: strength of length normalisation, 0 to 1 (default: ${defaultBm25.b})`, numberOption)
    .addOption(
      new Option("--stemmer <name>", "bm25: how words are stemmed").choices(["porter", "none"]).default("porter"),
    )
    .option("--no-stop-words", "bm25: index every word, English stop words too");
}

async function work(terminal: Terminal, options: IndexOptions, signal: AbortSignal): Promise<VerbAnswer> {
  if (options.preview !== undefined) return showPreview(terminal, options, signal);
  if (isChange(options)) return changeIndexes(terminal, options, signal);
  await refuseOtherKinds(options);
  const started = performance.now();
  return withSources(terminal, options, signal, async ({ corpus, gathered }) => {
    const built = await buildIndexes(terminal, options, corpus, signal);
    const passages = Object.values(built)[0].passages;
    terminal.print(`${plural(passages, "passage")} in ${duration(performance.now() - started)} → ${options.out}`);
    printNext(terminal, nextOf(options.out, Object.keys(built)));
    const [only, ...others] = Object.values(built);
    return { ...(others.length === 0 ? only : {}), out: options.out, passages, engines: built, ...gathered };
  });
}

/** What comes after an index that is new. */
function nextOf(out: string, built: readonly string[]): [commandLine: string, meaning: string][] {
  const index = `--index ${shellWord(out)}`;
  const engines = (names: readonly string[]): string => (names.join() === "bm25" ? "" : ` --engine ${names.join(",")}`);
  // Questions are made of one index, and not of a LanceDB table.
  const listing = built.find((name) => name === "bm25" || name === "dense");
  const next: [string, string][] = [[`npx sleuth search "your words" ${index}${engines(built)}`, "try it"]];
  if (listing !== undefined)
    next.push([`npx sleuth questions make ${index}${engines([listing])} --out questions`, "questions to train on"]);
  return next;
}

function isChange({ add, merge, delete: ids }: IndexOptions): boolean {
  return add === true || merge === true || ids !== undefined;
}

/** @throws UserError for options that do not go together */
function check(options: IndexOptions): void {
  const { paths, add, replace, chunk, overlap, engine = [], vectors, encoder, dimensions, preview, k1, b } = options;
  const isChanging = isChange(options);
  if (paths.length === 0 && (!isChanging || add === true))
    throw new UserError("No corpus was given. Name JSONL files, documents or folders of documents.");
  if (paths.length > 0 && isChanging && add !== true && preview === undefined)
    throw new UserError(
      `${paths[0]} was named, but neither a new index nor --add was asked for. Add --add, or leave it out.`,
    );
  if (isChanging && preview !== undefined && add !== true)
    throw new UserError("--preview shows what PATHS would add; --delete and --merge have none. Leave one of them out.");
  const settled = Object.entries({ k1, b, vectors, dimensions }).find(([, value]) => value !== undefined);
  if (isChanging && settled !== undefined)
    throw new UserError(
      settled[0] === "k1" || settled[0] === "b"
        ? `--${settled[0]} is for a new index. For one that is there, give it to \`sleuth search\`.`
        : `--${settled[0]} is for a new index: what is added is encoded by --encoder, or by the index's own encoder.`,
    );
  if (replace === true && add !== true)
    throw new UserError("--replace goes with --add; an index that is built anew is replaced altogether.");
  if (overlap >= chunk) throw new UserError(`--overlap is ${overlap} and --chunk ${chunk}: it must be smaller.`);
  const withVectors = engine.filter((name) => name !== "bm25");
  if (!isChanging && preview === undefined && withVectors.length > 0 && encoder === undefined && vectors === undefined)
    throw new UserError(
      `${withVectors.join(" and ")} ${withVectors.length === 1 ? "needs" : "need"} vectors. Name what makes them with --encoder, for example --encoder hf:intfloat/e5-small-v2, or a file of them with --vectors.`,
    );
  const unused = Object.entries({ encoder, vectors, dimensions }).find(([, value]) => value !== undefined);
  if (withVectors.length === 0 && !isChanging && unused !== undefined)
    throw new UserError(`--${unused[0]} goes with --engine dense or lancedb; bm25 has no vectors.`);
}

function engineList(text: string): IndexedEngine[] {
  const names = [...new Set(text.split(",").map((name) => name.trim()))];
  for (const name of names)
    if (!(indexedEngines as readonly string[]).includes(name))
      throw new UserError(
        `There is no index for an engine "${name}". Indexes are made for ${indexedEngines.join(", ")}, with commas for several (each gets a folder of its own).`,
      );
  return names as IndexedEngine[];
}
