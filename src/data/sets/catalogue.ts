/**
 * @file The question sets that papers on search agents train and measure on, as FlashRAG keeps them on the Hub (JSONL, a folder a set). Row counts are
 * those of FlashRAG's own list and of Search-R1's tables: another number means another set.
 */

export interface QuestionSet {
  name: string;
  title: string;
  /** Questions of one search or of several. */
  hops: "single" | "multi";
  /** Rows by FlashRAG's names of the splits. */
  splits: Readonly<Partial<Record<"train" | "dev" | "test", number>>>;
  /** What the papers measure on. */
  measuredOn: "dev" | "test";
  /** Search-R1 is trained on this one's training questions. */
  isTrainedOn?: true;
  /** Terms of the questions, in a few words. Read them before you pass anything on. */
  terms: string;
  source: string;
}

/** The dataset repository that has all of them. */
export const setsRepository = "RUC-NLPIR/FlashRAG_datasets";

export const questionSets: readonly QuestionSet[] = [
  {
    name: "nq",
    title: "Natural Questions (open)",
    hops: "single",
    splits: { train: 79_168, dev: 8_757, test: 3_610 },
    measuredOn: "test",
    isTrainedOn: true,
    terms: "CC BY-SA 3.0",
    source: "https://ai.google.com/research/NaturalQuestions",
  },
  {
    name: "triviaqa",
    title: "TriviaQA (unfiltered, open)",
    hops: "single",
    splits: { train: 78_785, dev: 8_837, test: 11_313 },
    measuredOn: "test",
    terms: "for research; the questions belong to the trivia sites that they came from",
    source: "https://nlp.cs.washington.edu/triviaqa/",
  },
  {
    name: "popqa",
    title: "PopQA",
    hops: "single",
    splits: { test: 14_267 },
    measuredOn: "test",
    terms: "MIT (as its repository says)",
    source: "https://github.com/AlexTMallen/adaptive-retrieval",
  },
  {
    name: "hotpotqa",
    title: "HotpotQA",
    hops: "multi",
    splits: { train: 90_447, dev: 7_405 },
    measuredOn: "dev",
    isTrainedOn: true,
    terms: "CC BY-SA 4.0",
    source: "https://hotpotqa.github.io/",
  },
  {
    name: "2wikimultihopqa",
    title: "2WikiMultiHopQA",
    hops: "multi",
    splits: { train: 15_000, dev: 12_576 },
    measuredOn: "dev",
    terms: "Apache-2.0",
    source: "https://github.com/Alab-NII/2wikimultihop",
  },
  {
    name: "musique",
    title: "MuSiQue (answerable)",
    hops: "multi",
    splits: { train: 19_938, dev: 2_417 },
    measuredOn: "dev",
    terms: "CC BY 4.0",
    source: "https://github.com/StonyBrookNLP/musique",
  },
  {
    name: "bamboogle",
    title: "Bamboogle",
    hops: "multi",
    splits: { test: 125 },
    measuredOn: "test",
    terms: "MIT (as its repository says)",
    source: "https://github.com/ofirpress/self-ask",
  },
];

export function findSet(name: string): QuestionSet | undefined {
  return questionSets.find((set) => set.name === name.toLowerCase());
}
