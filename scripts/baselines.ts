/**
 * @file Every baseline on the built-in world and on the laptop set: `npm run results:baselines` trains what has to be trained, evaluates all of it and writes
 * docs/results/baselines.md. Resumable: a stage that is done is kept, and an evaluation goes on where it was stopped.
 */
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { balancedSample } from "../src/data/atlas/questions.js";
import { loadQuestions } from "../src/data/questions.js";
import { toJsonLines } from "../src/files/lines.js";
import { Random } from "../src/random.js";
import { atlasDemo } from "../src/recipes/search-r1/recipe.js";
import { smollm2Model } from "../src/recipes/search-r1/smollm2.js";
import { parseConfig } from "../src/train/config/config.js";
import { loadSplits } from "../src/train/questions.js";
import { sourceCommit } from "../src/train/run-folder.js";
import { readSection, renderPage, type Section } from "./baselines/page.js";
import { evaluationStages, laptopPart, sizes, worldPart, type Part, type Size } from "./baselines/stages.js";
import { sizes as realSizes } from "./real-questions/stages.js";
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

/** Questions of the laptop set, drawn by a seed, beside all of its passages. */
async function laptopQuestions(folder: string, source: string, { questions }: Size): Promise<string> {
  mkdirSync(folder, { recursive: true });
  const drawn = async (part: "train" | "test", stream: string, count: number): Promise<string> => {
    const all = await loadQuestions(join(source, `${part}.jsonl`));
    return toJsonLines(new Random(0, stream).shuffle(all).slice(0, count));
  };
  writeFileSync(join(folder, "test.jsonl"), await drawn("test", "baselines", questions.test));
  writeFileSync(join(folder, "train.jsonl"), await drawn("train", "baselines", questions.train));
  // In the order in which the real run drew them: what it sets aside comes first, and is not attempted.
  const rejection = await drawn("train", "real-questions", questions.rejection + realSizes.full.validation);
  writeFileSync(join(folder, "rejection.jsonl"), rejection.split("\n").slice(realSizes.full.validation).join("\n"));
  copyFileSync(join(source, "corpus.jsonl"), join(folder, "corpus.jsonl"));
  return folder;
}

const worldWords =
  "The built-in world ([docs/atlas.md](../atlas.md)): held-out questions, a third each of 1, 2 and 3 searches. `shipped` is the model as it comes, `trained` the demo's recipe. The model was raised on tags and knows no fact about these countries, so what does not search can only guess.";
const laptopWords =
  "The laptop set ([docs/data.md](../data.md)): questions of NQ and TriviaQA whose answer BM25 finds in its top 3 with the question itself, so hit@3 is near 1 by construction: it tests asking, reading and answering. `untrained` is SmolLM2-135M-Instruct; it is shown three passages a search, the others one, as they were trained. SFT and R1 learn from a part of the training questions; warm start and trained are those of [the real run](real-questions.md).";

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
  const asked = await laptopQuestions(join(laptop, "questions"), questions, size);
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
