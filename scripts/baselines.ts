/**
 * @file Every baseline on the built-in world and on the laptop set: `npm run results:baselines` trains what has to be trained, evaluates all of it and writes
 * docs/results/baselines.md. Resumable: a stage that is done is kept, and an evaluation goes on where it was stopped.
 */
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { balancedSample } from "../src/data/atlas/questions.js";
import { atlasDemo } from "../src/recipes/search-r1/recipe.js";
import { smollm2Model } from "../src/recipes/search-r1/smollm2.js";
import { parseConfig } from "../src/train/config/config.js";
import { loadSplits } from "../src/train/questions.js";
import { sourceCommit } from "../src/train/run-folder.js";
import { readSection, renderPage, type Section } from "./baselines/page.js";
import { evaluationStages, laptopPart, sizes, worldPart, type Part, type Size } from "./baselines/stages.js";
import { doStages, orTell } from "./stages.js";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const note = (text: string): void => void process.stderr.write(`${text}\n`);

interface Options {
  quick?: true;
  folder: string;
  only?: "world" | "laptop";
  questions: string;
  warm?: string;
  trained?: string;
}

/** Training questions of the built-in world, for what takes a folder. */
async function writeQuestions(folder: string, count: number): Promise<string> {
  const config = parseConfig(atlasDemo);
  const { questions, validation, test } = await loadSplits(config);
  const parts = { train: balancedSample(questions, count, 0), validation, test };
  mkdirSync(folder, { recursive: true });
  for (const [name, all] of Object.entries(parts))
    writeFileSync(join(folder, `${name}.jsonl`), all.map((question) => `${JSON.stringify(question)}\n`).join(""));
  return folder;
}

/** The laptop set, or the first questions of it beside all of its passages. */
function laptopQuestions(folder: string, source: string, { training }: Size): string {
  if (training === undefined) return source;
  mkdirSync(folder, { recursive: true });
  for (const name of ["train", "test", "hard"]) {
    const lines = readFileSync(join(source, `${name}.jsonl`), "utf8").split("\n");
    writeFileSync(join(folder, `${name}.jsonl`), `${lines.slice(0, training).join("\n")}\n`);
  }
  copyFileSync(join(source, "corpus.jsonl"), join(folder, "corpus.jsonl"));
  return folder;
}

const worldWords =
  "The built-in world ([docs/atlas.md](../atlas.md)): held-out questions, a third each of 1, 2 and 3 searches. `shipped` is the model as it comes, `trained` the demo's recipe. The model was raised on tags and knows no fact about these countries, so what does not search can only guess.";
const laptopWords =
  "The laptop set ([docs/data.md](../data.md)): questions of NQ and TriviaQA whose answer BM25 finds in its top 3 with the question itself, so hit@3 is near 1 by construction: it tests asking, reading and answering. `hard` are questions whose answer is in the corpus and not in that top 3. `untrained` is SmolLM2-135M-Instruct.";

async function section(folder: string, part: Part, size: Size, about: Pick<Section, "title" | "words">) {
  const stages = [...part.stages, ...evaluationStages(folder, part, size)];
  const workshop = { folder, commit: sourceCommit() ?? "unknown", program: join(root, "bin", "sleuth.js"), note };
  return readSection(folder, part, { ...about, records: await doStages(stages, workshop) });
}

async function sections({ quick, folder, only, questions, warm, trained }: Options): Promise<Section[]> {
  const size = quick ? sizes.quick : sizes.full;
  const place = quick ? join(folder, "quick") : folder;
  const made: Section[] = [];
  if (only !== "laptop") {
    const world = join(place, "world");
    const asked = await writeQuestions(join(world, "questions"), size.rejection);
    made.push(
      await section(world, worldPart(world, asked, size), size, { title: "The built-in world", words: worldWords }),
    );
  }
  if (only === "world") return made;
  if (!existsSync(join(questions, "test.jsonl"))) {
    note(`The laptop set is not in ${questions}: \`npm run fixtures:real-questions\` makes it. Its part is left out.`);
    return made;
  }
  const laptop = join(place, "laptop");
  const asked = laptopQuestions(join(laptop, "questions"), questions, size);
  const part = laptopPart(laptop, { questions: asked, model: smollm2Model, warm, trained }, size);
  return [...made, await section(laptop, part, size, { title: "The laptop set", words: laptopWords })];
}

const program = new Command("results:baselines")
  .description(
    "Trains and evaluates every baseline on the built-in world and on the laptop set, and writes docs/results/baselines.md. The laptop set needs npm run fixtures:real-questions and npm run fixtures:smollm2. " +
      "What is finished is kept: the same command goes on where it was stopped.",
  )
  .option("--quick", "every stage in small, in FOLDER/quick, to see that each works; the page is written there")
  .option("--folder <folder>", "where everything is made", join(".cache", "baselines"))
  .option("--only <part>", "world or laptop")
  .option("--questions <folder>", "where the laptop set is", join(".cache", "real-questions"))
  .option("--warm <run>", "the warm start of the real run: rejection sampling begins with it")
  .option("--trained <run>", "what reinforcement made of it")
  .action(async (options: Options) => {
    const page = options.quick
      ? join(options.folder, "quick", "baselines.md")
      : join(root, "docs", "results", "baselines.md");
    await orTell(note, async () => {
      const made = await sections(options);
      writeFileSync(page, renderPage(made, `npm run results:baselines${options.quick ? " -- --quick" : ""}`));
      note(`wrote ${page}`);
    });
  });
await program.parseAsync();
