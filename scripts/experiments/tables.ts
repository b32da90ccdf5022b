/**
 * @file The papers' questions: what they found, which cells ask the same here, and what each finding says of two cells. What holds here
 * is computed. Only reasons are written by hand, each for one verdict, so that they disappear when the numbers turn.
 *
 * P1 is Search-R1 (arXiv:2503.09516), P2 its empirical study (arXiv:2505.15117). Averages are over their seven test sets.
 */
import type { VariantName } from "./cells.js";
import type { Measure } from "./outcome.js";
import type { Expectation, Verdict } from "./verdict.js";

export interface Claim {
  /** The finding as a sentence about here. */
  text: string;
  /** Where it stands. */
  source: string;
  left: VariantName;
  /** Absent where the measure is a difference already. */
  right?: VariantName;
  measure: Measure;
  expect: Expectation;
  /** Why that may be, by verdict. */
  why?: Partial<Record<Verdict, string>>;
}

export interface Row {
  variant: VariantName;
  /** Differences are from this one; the table's reference where none is named. */
  against?: VariantName;
  /** Show the policy before its training. */
  untrained?: { title: string };
}

export interface Table {
  /** Of its picture. */
  name: string;
  question: string;
  /** What the papers report, one line each. */
  papers: readonly string[];
  reference: VariantName;
  rows: readonly Row[];
  claims: readonly Claim[];
  /** What a reader must know of the cells. */
  note?: string;
}

const row = (variant: VariantName): Row => ({ variant });

export const tables: readonly Table[] = [
  {
    name: "algorithms",
    question: "Which algorithm?",
    papers: [
      "P1 table 3, average EM of PPO and GRPO: 7B base .431 and .350, 7B instruct .385 and .396, 3B base .303 and .312, 3B instruct .325 and .336. GRPO was faster at first and collapsed in all four; PPO was slower, because of its critic, and stable.",
      "P1 table 8: a group of one, which is REINFORCE, reached .410 where groups of five reached .350 (7B base).",
    ],
    reference: "grpo",
    rows: ["grpo", "ppo", "reinforce", "rloo", "reinforce++"].map((name) => row(name as VariantName)),
    claims: [
      {
        text: "GRPO learns faster than PPO.",
        source: "P1, beside table 3",
        left: "grpo",
        right: "ppo",
        measure: "area",
        expect: "higher",
        why: {
          fails:
            "A 0.9 M critic starts at 0 and whitening alone already makes its advantages good, so there is no slow start; and GRPO learns nothing from the many early groups in which every attempt fails, while PPO, whitened over the batch, does.",
        },
      },
      {
        text: "In the end PPO and GRPO are about as good.",
        source: "P1 table 3, three of four models",
        left: "ppo",
        right: "grpo",
        measure: "sampled",
        expect: "equal",
        why: {
          unseen: "PPO is ahead, and the interval leaves open by how much; thirty steps end while both still rise.",
        },
      },
      {
        text: "GRPO falls further from its best than PPO does.",
        source: "P1, beside table 3",
        left: "grpo",
        right: "ppo",
        measure: "drop",
        expect: "higher",
        why: { unseen: "Nothing falls in thirty steps at this rate; the next table pushes." },
      },
      {
        text: "REINFORCE ends above GRPO.",
        source: "P1 table 8",
        left: "reinforce",
        right: "grpo",
        measure: "sampled",
        expect: "higher",
        why: {
          holds:
            "With few right answers the group's deviation makes a group with one right attempt out of eight count like any other, and groups without one count nothing; a baseline over batches keeps what is common to all groups.",
        },
      },
    ],
    note: "All five learn from batches of the same shape: 15 questions, 8 attempts each. Only the advantages differ, and PPO's critic.",
  },
  {
    name: "collapse",
    question: "Which one collapses?",
    papers: [
      "P1, beside table 3: GRPO collapses after it has learned, PPO stays stable. Its users met the same (issue 88 of the released code: at step 160 of one run, at step 600 of another).",
      "A study of the same setup (arXiv:2602.19526): REINFORCE is more stable than PPO, and PPO than GRPO.",
    ],
    reference: "grpo-hot",
    rows: ["grpo-hot", "ppo-hot", "reinforce-hot"].map((name) => row(name as VariantName)),
    claims: [
      {
        text: "Pushed, GRPO falls further from its best than PPO does.",
        source: "P1, beside table 3",
        left: "grpo-hot",
        right: "ppo-hot",
        measure: "drop",
        expect: "higher",
        why: {
          unseen:
            "If anything it falls less. GRPO drops groups without variance, so late batches, mostly right, change little; PPO's critic is pushed as hard as its policy, and whitening gives late batches full size.",
        },
      },
      {
        text: "Pushed, GRPO falls further than REINFORCE does.",
        source: "arXiv:2602.19526",
        left: "grpo-hot",
        right: "reinforce-hot",
        measure: "drop",
        expect: "higher",
        why: {
          unseen:
            "If anything it falls less, by far in some seeds. The collapse of the papers' GRPO needs hundreds of steps and wrong long attempts, which this world hardly has.",
        },
      },
    ],
    note: "The papers' runs collapse after hundreds of steps. These are pushed instead: a learning rate of 2e-3 that never falls, seven times the other tables'.",
  },
  {
    name: "mask",
    question: "Must retrieved tokens be masked?",
    papers: [
      "P1 tables 4 and 6, average EM of PPO with and without the mask: 7B base .431 and .343, 3B base .303 and .262.",
    ],
    reference: "grpo",
    rows: [row("grpo"), row("grpo-no-mask"), row("ppo"), { variant: "ppo-no-mask", against: "ppo" }],
    claims: [
      {
        text: "With the mask PPO ends higher than without.",
        source: "P1 tables 4 and 6",
        left: "ppo",
        right: "ppo-no-mask",
        measure: "sampled",
        expect: "higher",
        why: {
          holds:
            "Without it a part of every gradient goes into predicting passages about countries that never come again.",
        },
      },
      {
        text: "With the mask GRPO ends higher than without.",
        source: "P1 tables 4 and 6, there of PPO",
        left: "grpo",
        right: "grpo-no-mask",
        measure: "sampled",
        expect: "higher",
      },
    ],
  },
  {
    name: "group-size",
    question: "How many attempts per question?",
    papers: ["P1 table 8, average EM of GRPO by group size (7B base): 1 .410, 3 .363, 5 .350."],
    reference: "group-5",
    rows: ["group-1", "group-3", "group-5", "grpo"].map((name) => row(name as VariantName)),
    claims: [
      {
        text: "Groups of one with the raw reward end higher than groups of five.",
        source: "P1 table 8",
        left: "group-1",
        right: "group-5",
        measure: "sampled",
        expect: "higher",
        why: {
          holds:
            "At equal attempts they see five times as many questions, and raw rewards push up every right attempt with full weight while right ones are rare. Nothing is pushed down; in a longer run that may matter.",
        },
      },
      {
        text: "Groups of three end higher than groups of five.",
        source: "P1 table 8",
        left: "group-3",
        right: "group-5",
        measure: "sampled",
        expect: "higher",
        why: { unseen: "The difference is within what seeds differ by." },
      },
    ],
    note: "120 attempts a step in every row: 120, 40, 24 and 15 questions. In the papers' scripts larger groups came on top of the same 512 questions. GRPO in the last row is the other tables' reference, with groups of 8.",
  },
  {
    name: "top-k",
    question: "How many passages per search?",
    papers: ["P1 table 7, average EM of PPO by passages (7B base): 1 .375, 3 .431, 5 .400."],
    reference: "warm",
    rows: [
      row("warm"),
      row("warm-top-3"),
      row("warm-top-5"),
      row("grpo"),
      { variant: "top-3", against: "grpo" },
      { variant: "top-5", against: "grpo" },
    ],
    claims: [
      {
        text: "Three passages end higher than one (from a warm start).",
        source: "P1 table 7",
        left: "warm-top-3",
        right: "warm",
        measure: "sampled",
        expect: "higher",
        why: {
          fails:
            "One passage nearly always holds the fact here (a world of one page per country and topic), so further ones only distract a model of this size. Where retrieval misses more often, more passages can pay.",
        },
      },
      {
        text: "Three passages end higher than five (from a warm start).",
        source: "P1 table 7",
        left: "warm-top-3",
        right: "warm-top-5",
        measure: "sampled",
        expect: "higher",
      },
      {
        text: "Three passages end higher than one (from the base).",
        source: "P1 table 7",
        left: "top-3",
        right: "grpo",
        measure: "sampled",
        expect: "higher",
        why: {
          fails:
            "The base has been raised on one page per search and does not know where to look among three; reinforcement alone does not teach that in thirty steps.",
        },
      },
    ],
    note: "The base was raised on one page per search. The warm start has read transcripts with as many passages as the training that follows shows, so its rows ask the papers' question; the rows from the base ask whether reinforcement alone teaches to read several. A question of three searches leaves no room for five passages each within the base's 512 tokens.",
  },
  {
    name: "start",
    question: "A base model or one that knows the protocol?",
    papers: [
      "P1 table 2, average EM of Search-R1 (PPO) from base and instruct models: 7B .431 and .385, 3B .303 and .325; table 5: 14B .479 and .433.",
      "P1, on base and instruct models: instruct models start higher and learn faster; with training the difference nearly vanishes.",
    ],
    reference: "grpo",
    rows: [
      { variant: "grpo", untrained: { title: "the base, untrained" } },
      row("grpo"),
      { variant: "warm", untrained: { title: "the warm start, before reinforcement" } },
      row("warm"),
    ],
    claims: [
      {
        text: "A model that knows the protocol learns faster.",
        source: "P1, on base and instruct models",
        left: "warm",
        right: "grpo",
        measure: "area",
        expect: "higher",
        why: { holds: "It begins with searches of two hops, which the base has to discover." },
      },
      {
        text: "In the end both are about as good.",
        source: "P1, on base and instruct models",
        left: "warm",
        right: "grpo",
        measure: "sampled",
        expect: "equal",
        why: {
          unseen:
            "The warm start ends a little lower: what it knows of reading comes from sentences in other words than the base was raised on, and copying names becomes less sure.",
        },
      },
    ],
    note: "What instruction tuning gave the papers' models, a short supervised warm-up gives here: 320 transcripts of one and two searches about training countries, three times.",
  },
  {
    name: "rewards",
    question: "Which reward?",
    papers: [
      "P2 table 1 beside P1 table 3, average EM with a format reward (λ = 0.2) and without: 7B base GRPO .420 and .350, PPO .434 and .431. It converges faster; too large a weight learns the format instead of the answer.",
      "P2: a reward for retrieving the answer adds little, or hurts as its weight grows.",
    ],
    reference: "grpo",
    rows: ["grpo", "format", "format-small", "warm", "warm-format", "retrieval"].map((name) =>
      name === "warm-format" ? { variant: name, against: "warm" } : row(name as VariantName),
    ),
    claims: [
      {
        text: "The format reward with the papers' weight makes GRPO end higher.",
        source: "P2 table 1",
        left: "format",
        right: "grpo",
        measure: "sampled",
        expect: "higher",
        why: {
          fails:
            "The base is well formed already when it guesses at once, and hardly ever when it searches twice. While right answers are rare, form is what most groups differ in, and GRPO divides by the group's deviation, which blows a small reward up to full size: the model learns to guess in good form. The papers' models were large enough to answer some questions from the start.",
        },
      },
      {
        text: "It makes GRPO learn faster.",
        source: "P2",
        left: "format",
        right: "grpo",
        measure: "area",
        expect: "higher",
        why: { fails: "See above: it learns something else." },
      },
      {
        text: "Too large a format weight does harm: a quarter of it does better.",
        source: "P2",
        left: "format-small",
        right: "format",
        measure: "sampled",
        expect: "higher",
        why: {
          unseen:
            "Both do the same harm: where no attempt is right, division by the group's deviation makes the size of the reward irrelevant. An algorithm that does not divide (Dr. GRPO, RLOO) would tell; it was not run.",
        },
      },
      {
        text: "From a warm start the format reward makes GRPO end higher.",
        source: "P2 table 1, there of base models",
        left: "warm-format",
        right: "warm",
        measure: "sampled",
        expect: "higher",
      },
      {
        text: "The retrieval reward is no gain.",
        source: "P2",
        left: "retrieval",
        right: "grpo",
        measure: "sampled",
        expect: "not-higher",
        why: {
          holds:
            "Whoever answers right has retrieved the answer; it only tells apart attempts that found it and did not use it, which are rare.",
        },
      },
    ],
    note: "The format reward with λ = 0.2 is the second paper's whole scale: 1 for a right answer in form, 0.8 for one out of form, 0.2 for form alone, 0.1 for any answer. The small one is EM + 0.05 for form.",
  },
  {
    name: "search",
    question: "What does search add, and how good must the engine be?",
    papers: [
      "P1 table 2, average EM: Search-R1 7B base .431, reinforcement without search (R1) .276, RAG .304; 3B base .303, .229 and .270.",
      "P2, average EM by the engine in training: random passages .241, BM25 .352, E5 with HNSW .379, E5 exact .430. With a weak engine the model learns to avoid searching, or to search too often.",
      "Su's re-examination (blog, May 2026): with random passages every model stops searching within 150 steps; with empty results PPO comes to search three or four times.",
    ],
    reference: "grpo",
    rows: ["grpo", "no-search", "rag", "random", "empty"].map((name) => row(name as VariantName)),
    claims: [
      {
        text: "Searching ends higher than reinforcement without search.",
        source: "P1 table 2",
        left: "grpo",
        right: "no-search",
        measure: "sampled",
        expect: "higher",
      },
      {
        text: "Searching ends higher than RAG.",
        source: "P1 table 2",
        left: "grpo",
        right: "rag",
        measure: "sampled",
        expect: "higher",
        why: {
          holds:
            "The question itself finds the first page and not the second, and two thirds of the questions need a second or third.",
        },
      },
      {
        text: "RAG ends higher than no search.",
        source: "P1 table 2",
        left: "rag",
        right: "no-search",
        measure: "sampled",
        expect: "higher",
      },
      {
        text: "BM25 ends higher than random passages.",
        source: "P2",
        left: "grpo",
        right: "random",
        measure: "sampled",
        expect: "higher",
      },
      {
        text: "With random passages the model comes to search less than it did untrained.",
        source: "P2, the blog",
        left: "random",
        measure: "searchesGained",
        expect: "lower",
        why: { unseen: "There is no reward to follow in either direction: nothing is learned, not even to stop." },
      },
      {
        text: "With empty results, which cost nothing, it comes to search more.",
        source: "the blog, there of PPO",
        left: "empty",
        measure: "searchesGained",
        expect: "higher",
        why: { unseen: "As above: no attempt is ever right, so all advantages are 0." },
      },
    ],
    note: "RAG is trained as well here: the question is searched once, the passage stands before the model's first word, and it may not search. The papers' RAG was not trained.",
  },
];

/** EM differences below this would not matter, for findings that say that there is none. */
export const margin = 0.05;
