/**
 * @file Real documentation as a user has it: fetched, indexed and searched through the command line. `npm run real-corpus` prints a section of
 * docs/results/real-corpus.md, and `--write` puts it there. `--commit` measures another commit with the same documents, questions and tokenizer.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { checkout } from "../bench/self/checkout.js";
import { mapConcurrent } from "../src/async.js";
import { loadTokenizer } from "../src/engine/io/tokenizer.js";
import { smollm2, smollm2IsAbsent } from "../src/engine/io/smollm2.test-support.js";
import { UserError } from "../src/errors.js";
import { readLines } from "../src/files/lines.js";
import { documentsIn, fetchPackages, packages } from "./real-corpus/fetch.js";
import { parseQuestions, PassageCounts, rankOfHit, type Question } from "./real-corpus/measure.js";
import { section, withSection, type Asked } from "./real-corpus/page.js";
import { learn } from "./real-corpus/learn.js";
import { SleuthCommand } from "./sleuth-command.js";
import type { StoredPassage } from "../src/types.js";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const cache = join(root, ".cache", "real-corpus");
const pageFile = join(root, "docs", "results", "real-corpus.md");
const questionFile = join(root, "scripts", "real-corpus", "questions.jsonl");
/** Passages per search. */
const top = 10;

const note = (text: string): void => void process.stderr.write(`${text}\n`);

/** What `sleuth index --json` answers, as far as it is used here. */
interface Indexed {
  passages: number;
  documents: number;
  skipped: object[];
  seconds: number;
}

interface Options {
  commit?: string;
  fetch?: true;
  write?: true;
  learn?: true;
  small?: true;
  jobs: number;
}

async function main({ commit, fetch, write, jobs, learn: learns, small }: Options): Promise<void> {
  const fetched = fetchPackages(cache, note);
  note(`${fetched.length} packages are in ${documentsIn(cache)}`);
  if (fetch === true) return;
  if (learns === true) return learnFromDocuments({ small });
  const questions = parseQuestions(readFileSync(questionFile, "utf8"), questionFile);
  requireEvidence(questions);
  const folder = commit === undefined ? root : await checkout(commit, note);
  const name = commit === undefined ? commitOf() : shortHash(commit);
  const sleuth = new SleuthCommand(join(folder, "bin", "sleuth.js"));
  const index = join(cache, `index-${name.replaceAll(" ", "-")}`);
  const indexed = (await sleuth.run(["index", documentsIn(cache), "--out", index], { isShown: true })) as Indexed;
  const counts = await countPassages(index, questions);
  if (counts.passages !== indexed.passages)
    throw new Error(`internal: ${index} holds ${counts.passages} passages and not ${indexed.passages}`);
  const asked = await askAll(sleuth, index, questions, jobs, counts.answerable);
  const text = section({
    commit: name,
    command: `npm run real-corpus --${commit === undefined ? "" : ` --commit ${name}`} --write`,
    packages: fetched.map(({ name: packageName, version }) => `${packageName} ${version}`),
    documents: indexed.documents,
    skipped: indexed.skipped.length,
    passages: indexed.passages,
    indexSeconds: indexed.seconds,
    withinBudget: counts.withinBudget,
    repeated: counts.repeated,
    asked,
  });
  process.stdout.write(text);
  if (write !== true) return note("Nothing was written: --write puts this section into docs/results/real-corpus.md.");
  writeFileSync(pageFile, withSection(existsSync(pageFile) ? readFileSync(pageFile, "utf8") : "", text));
  note(`wrote ${pageFile}`);
}

/** From the documents to a trained model, and the page about it. */
async function learnFromDocuments({ small }: Pick<Options, "small">): Promise<void> {
  if (smollm2IsAbsent) throw new UserError("SmolLM2 is not there. npm run fixtures:smollm2 fetches it.");
  const text = await learn({
    cache,
    documents: documentsIn(cache),
    commit: commitOf(),
    program: join(root, "bin", "sleuth.js"),
    note,
    small,
  });
  process.stdout.write(text);
  if (small) return note("Nothing was written: these are the stages in small.");
  writeFileSync(pageFile, withSection(existsSync(pageFile) ? readFileSync(pageFile, "utf8") : "", text));
  note(`wrote ${pageFile}`);
}

function git(...words: string[]): string {
  return spawnSync("git", words, { cwd: root, encoding: "utf8" }).stdout.trim();
}

const shortHash = (commit: string): string => git("rev-parse", "--short=7", `${commit}^{commit}`);

/** The commit of this tree; where the sources differ from it, that is said. */
function commitOf(): string {
  const isChanged = git("status", "--porcelain", "--", "src", "package-lock.json") !== "";
  return `${shortHash("HEAD")}${isChanged ? " with changes" : ""}`;
}

/** A question whose document is not there cannot be judged. */
function requireEvidence(questions: readonly Question[]): void {
  const missing = questions.filter(({ evidence }) => !existsSync(join(documentsIn(cache), evidence)));
  if (missing.length > 0)
    throw new UserError(
      `${missing.length} of ${questions.length} questions ask about files that the packages do not hold (${missing[0].evidence}): other versions have come. ` +
        `Numbers would not compare with those of docs/results/real-corpus.md.`,
    );
}

/** Counts over what was indexed, read from the index itself. */
async function countPassages(index: string, questions: readonly Question[]): Promise<PassageCounts> {
  if (smollm2IsAbsent) note("Tokens are not counted: SmolLM2 is not there. npm run fixtures:smollm2 fetches it.");
  const counts = new PassageCounts(questions, smollm2IsAbsent ? undefined : await loadTokenizer(smollm2));
  const files = readdirSync(index, { recursive: true, encoding: "utf8" }).filter((file) =>
    file.endsWith("passages.jsonl"),
  );
  for (const file of files)
    for await (const lines of readLines(join(index, file)))
      for (const { text } of lines) {
        counts.add(JSON.parse(text) as StoredPassage);
        if (counts.passages % 10_000 === 0) note(`counting: ${counts.passages} passages`);
      }
  return counts;
}

async function askAll(
  sleuth: SleuthCommand,
  index: string,
  questions: readonly Question[],
  jobs: number,
  answerable: ReadonlySet<string>,
): Promise<Asked[]> {
  let done = 0;
  return mapConcurrent(questions, jobs, async (question, signal) => {
    const words = ["search", question.question, "--index", index, "--top", String(top)];
    const { hits } = (await sleuth.run(words, { signal })) as { hits: StoredPassage[] };
    if (++done % 10 === 0) note(`asking: ${done} of ${questions.length} questions`);
    const rank = rankOfHit(hits, question.answers);
    return { question, rank, isAnswerable: answerable.has(question.id), first: hits.at(0)?.title ?? "–" };
  });
}

const program = new Command("real-corpus")
  .description(
    `Fetches the documentation of ${packages.length} packages with apt-get and npm (about 40 MB; nothing is installed) into .cache/real-corpus, indexes it with sleuth index, and measures passages, ` +
      "repetitions and the hits of 40 questions. Packages that are there are not fetched again.",
  )
  .option(
    "--commit <commit>",
    "measure another commit, which is checked out and built in .cache/self (default: this tree)",
  )
  .option(
    "--learn",
    "go from the documents to a trained model (index, questions, collect, sft, train, eval) in .cache/real-corpus/learn, and write its section; a stage that is done is not done again",
  )
  .option("--small", "with --learn: every stage in small, in .cache/real-corpus/learn-small, to see that each works")
  .option("--fetch", "fetch the documents and measure nothing")
  .option("--write", "write the section into docs/results/real-corpus.md; otherwise it is only printed")
  .option("--jobs <number>", "searches at a time", Number, 2)
  .addHelpText(
    "after",
    "\nExamples:\n" +
      "  $ npm run real-corpus\n      this tree; prints a section\n" +
      "  $ npm run real-corpus -- --write\n      the same, into docs/results/real-corpus.md\n" +
      "  $ npm run real-corpus -- --commit 4b63c99 --write\n      an earlier commit, with the same documents and questions\n" +
      "  $ npm run real-corpus -- --learn\n      the whole path to a trained model, about an hour on two cores; goes on where it was stopped\n",
  )
  .action(async (options: Options) => {
    mkdirSync(cache, { recursive: true });
    try {
      await main(options);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      note(error.message);
      process.exitCode = 1;
    }
  });
await program.parseAsync();
