/** @file `README.md` of an exported model: what it is, how it was made, what it scored, and how to load it. */
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import type { LoraConfig } from "../engine/model/lora.js";
import type { EvaluationReport } from "../eval/evaluation.js";
import { evaluationMarkdown } from "../eval/table.js";
import { engines, enginesNamed } from "../search/registry.js";
import { configKeys, type Config } from "../train/config/config.js";
import { shellWord } from "../printable.js";
import { inlineCode, plainText, pythonText, tableCell, yamlText } from "./card-text.js";
import { runAround } from "../train/run-folder.js";
import type { ExportedRun } from "./exported.js";
import { duration, plural } from "./terminal/format.js";
import { methodSettings } from "../rollout/methods/named.js";

interface CardFacts {
  /** The heading. */
  title: string;
  kind: "merged" | "adapter";
  dtype: string;
  /** What training started from, or what was converted: `hf:ORG/NAME[@REVISION]` or a path. */
  base: string;
  /** Where the base is on this machine: its own card may name a licence. */
  baseLocation: string;
  lora?: LoraConfig;
  /** The adapter was trained over 8-bit weights. */
  trainedOnInt8?: boolean;
  hasChatTemplate: boolean;
  run?: ExportedRun;
  /** Version and commit of the Sleuth that exported. */
  sleuth: string;
}

/** The card as Markdown with the Hub's front matter. */
export function modelCard(facts: CardFacts): string {
  const { title, run } = facts;
  const parts = [
    frontMatter(facts),
    `# ${plainText(title)}\n`,
    summary(facts),
    ...(run ? [training(facts, run), scores(facts, run), prompt(facts, run)] : []),
    loading(facts),
    ...(run ? [configuration(run)] : []),
  ];
  return parts.filter((part) => part !== "").join("\n");
}

function frontMatter(facts: CardFacts): string {
  const { kind, run, lora } = facts;
  const licence = licenceOf(facts.baseLocation);
  const tags = [
    "sleuth",
    ...(run?.kind === "train" ? ["search-r1", "reinforcement-learning", run.config.algorithm.name] : []),
    ...(run?.kind === "sft" ? ["sft"] : []),
    ...(lora ? ["lora"] : []),
    "search",
  ];
  const lines = [
    `base_model: ${yamlText(shortName(facts.base))}`,
    ...(lora || run ? [`base_model_relation: ${kind === "adapter" ? "adapter" : "finetune"}`] : []),
    `library_name: ${kind === "adapter" ? "peft" : "transformers"}`,
    "pipeline_tag: text-generation",
    ...(licence === undefined ? [] : [`license: ${yamlText(licence)}`]),
    "tags:",
    ...tags.map((tag) => `  - ${tag}`),
  ];
  return `---\n${lines.join("\n")}\n---\n`;
}

function summary({ base, kind, dtype, lora, run, sleuth }: CardFacts): string {
  const adapted = lora ? `a low-rank adapter of ${inlineCode(shortName(base))}` : `${inlineCode(shortName(base))}`;
  const made = {
    train: `It was trained with Search-R1 (arXiv:2503.09516) to answer questions by searching: by reinforcement, rewarded for the final answer alone.`,
    sft: "It was trained on transcripts of an ideal searcher, by cross-entropy on what the searcher writes.",
  };
  const is =
    kind === "adapter"
      ? `This is ${adapted}, in PEFT's format (${dtype}).`
      : lora
        ? `This is ${inlineCode(shortName(base))} with a low-rank adapter merged into its weights (${dtype}).`
        : run
          ? `This is ${inlineCode(shortName(base))} after training of all its weights (${dtype}).`
          : `This is ${inlineCode(shortName(base))}, converted (${dtype}) and not trained.`;
  return `${is} ${run ? `${made[run.kind]} ` : ""}Exported by Sleuth ${sleuth}.\n`;
}

function training({ base, lora, trainedOnInt8, kind: form }: CardFacts, run: ExportedRun): string {
  const { config, kind, outcome, step, starts } = run;
  const { algorithm, data, optimizer, reward, rollout, search, sft, train } = config;
  const rows: [string, string][] = [
    ["Base model", inlineCode(base.startsWith("hf:") ? base.slice("hf:".length) : shortName(base))],
    [
      "Trained weights",
      lora ? `low-rank adapter: rank ${lora.rank}, alpha ${short(lora.alpha)}, on ${lora.targets.join(", ")}` : "all",
    ],
  ];
  if (trainedOnInt8)
    rows.push([
      "Frozen weights",
      `8-bit numbers in training and in the tests (${inlineCode("run.precision=int8")}); ${form === "merged" ? "here" : "in other tools than Sleuth"} float32`,
    ]);
  for (const { kind: what, config: settings, step: steps } of run.earlier) {
    const learned =
      what === "sft"
        ? `from transcripts (${sourceText(settings.sft.transcripts, settings.data.worldSeed)})`
        : "by reinforcement";
    rows.push(["Trained before", `${learned}${steps === undefined ? "" : `, ${plural(steps, "step")}`}`]);
  }
  if (kind === "train") {
    const clip = algorithm.name === "grpo" ? `, clip ${algorithm.clip}` : "";
    const kl = algorithm.kl === 0 ? "no KL term" : `KL ${algorithm.kl}`;
    rows.push(
      [
        "Algorithm",
        `${algorithm.name.toUpperCase()}, ${plural(algorithm.groupSize, "attempt")} per question${clip}, ${kl}`,
      ],
      ["Retrieved text", algorithm.maskRetrieved ? "read, never trained on" : "trained on too (an ablation)"],
      ["Reward", weightsText(reward.weights)],
      ["Questions", sourceText(data.questions, data.worldSeed)],
      ["Passages", passagesText(config)],
      [
        "Search",
        `${search.engine}${rankingText(search)}, ${plural(search.topK, "passage")} per search, at most ${plural(methodSettings(rollout).maxSearches, "search", "searches")}`,
      ],
      [
        "Batch",
        `${plural(train.questionsPerStep, "question")} and ${plural(train.updatesPerBatch, "optimizer step")} per step`,
      ],
      [
        "Learning rate",
        `${optimizer.learningRate}, ${optimizer.schedule}, ${plural(optimizer.warmupSteps, "step")} of warm-up`,
      ],
    );
  } else {
    rows.push(
      ["Transcripts", sourceText(sft.transcripts, data.worldSeed)],
      ["Batch", `${plural(sft.batch, "transcript")} per step, ${plural(sft.epochs, "epoch")}`],
      [
        "Learning rate",
        `${sft.learningRate}, ${optimizer.schedule}, ${plural(optimizer.warmupSteps, "step")} of warm-up`,
      ],
    );
  }
  if (step !== undefined)
    rows.push(["Checkpoint", step === 0 ? "as before training" : `after ${plural(step, "step")}`]);
  if (outcome) rows.push(["Run", `${plural(outcome.steps, "step")}, ${duration(outcome.seconds * 1000)} of training`]);
  const last = starts.at(-1);
  if (last) {
    const commit = last.commit ? `, commit ${last.commit}` : "";
    rows.push(["Trained by", `Sleuth ${last.sleuth}${commit}, on ${plainText(last.cpu)}, ${last.cores} cores`]);
  }
  const lines = rows.map(([name, value]) => `| ${name} | ${tableCell(value)} |`);
  return `## Training\n\n| | |\n| --- | --- |\n${lines.join("\n")}\n`;
}

function scores({ trainedOnInt8 }: CardFacts, { before, after, kind, outcome }: ExportedRun): string {
  if (kind === "sft") return "";
  const modes = (
    [
      ["greedy", "Greedy"],
      ["sampled", "Sampled at temperature 1"],
    ] as const
  ).flatMap(([mode, title]) => {
    const columns = Object.entries({ before, after }).flatMap(([name, reports]) => {
      const report: EvaluationReport | undefined = reports?.[mode];
      return report === undefined ? [] : [{ name, report }];
    });
    return columns.length === 0 ? [] : [`${title}:\n\n${evaluationMarkdown(columns)}`];
  });
  const text =
    modes.length > 0
      ? `Held-out test questions answered exactly right, with 95 % intervals, before and after training. Published numbers compare with em/squad.\n\n${modes.join("\n")}`
      : outcome
        ? "None were recorded for this very checkpoint.\n"
        : "None: the run had not ended when the model was exported.\n";
  const over = trainedOnInt8
    ? `\nThey are those of the policy over 8-bit weights. What it scores over float32 ones: ${inlineCode("sleuth eval --run RUN --set run.precision=float32")}.\n`
    : "";
  return `## Scores\n\n${text}${modes.length > 0 ? over : ""}`;
}

function prompt({ hasChatTemplate }: CardFacts, { config }: ExportedRun): string {
  const { protocol } = methodSettings(config.rollout);
  const { chat, templateVariables } = config.rollout;
  const isChat = chat === "always" || (chat === "auto" && protocol.chat && hasChatTemplate);
  const told = Object.entries(templateVariables).map(([name, value]) => inlineCode(`${name}=${JSON.stringify(value)}`));
  const way = isChat
    ? `as a user's message through the chat template${told.length === 0 ? "" : `, which is told ${told.join(", ")}`}`
    : "as plain text, without a chat template";
  const [open, close] = protocol.search;
  return `## How it searches

The prompt (${way}):

${fence(protocol.prompt)}
When the model writes ${inlineCode(`${open} … ${close}`)}, stop there, search for what stands between, append the following and let it write on, until it closes ${inlineCode(protocol.answer[0])}:

${fence(protocol.observation)}
where a passage is written as

${fence(protocol.passage)}`;
}

function loading({ kind, base, run }: CardFacts): string {
  const folder = "FOLDER";
  const python =
    kind === "adapter"
      ? `from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

tokenizer = AutoTokenizer.from_pretrained("${folder}")
base = AutoModelForCausalLM.from_pretrained(${pythonBase(base)})
model = PeftModel.from_pretrained(base, "${folder}")
model.generation_config = GenerationConfig.from_pretrained("${folder}")`
      : `from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("${folder}")
model = AutoModelForCausalLM.from_pretrained("${folder}")`;
  const flags = run ? sleuthFlags(run.config) : "";
  return `## Loading it

In Python:

\`\`\`python
${python}
\`\`\`

\`generation_config.json\` holds the ids that begin, end and pad a text and nothing else: text is written greedily unless you ask otherwise, without the
penalties, temperature or top-p that the base may recommend.${kind === "adapter" ? " The last line puts it in the place of the base's." : ""}

In Sleuth:

\`\`\`sh
sleuth ask "…" --model ${folder}${flags}
\`\`\`
`;
}

/** What `from_pretrained` is to be given for the base. */
function pythonBase(base: string): string {
  if (base.startsWith("hf:")) {
    const [name, revision] = base.slice("hf:".length).split("@", 2);
    const [organisation, repository, ...file] = name.split("/");
    const options = [
      ...(file.length > 0 ? [`gguf_file=${pythonText(file.join("/"))}`] : []),
      ...(revision === undefined ? [] : [`revision=${pythonText(revision)}`]),
    ];
    return [pythonText(`${organisation}/${repository}`), ...options].join(", ");
  }
  if (base.endsWith(".gguf")) return `"FOLDER_OF_THE_BASE", gguf_file=${pythonText(path.basename(base))}`;
  return pythonText(path.basename(base));
}

/** BM25's constants, where they are not the index's own. */
function rankingText({ k1, b }: Config["search"]): string {
  const set = Object.entries({ k1, b }).filter(([, value]) => value !== "auto");
  return set.length === 0 ? "" : ` (${set.map(([name, value]) => `${name} ${value}`).join(", ")})`;
}

/** Where passages came from; addresses of servers are private. */
function passagesText({ data, search }: Config): string {
  const own = sourceText(data.index || data.corpus, data.worldSeed);
  const from = enginesNamed(search.engine).map((name) => engines[name].source ?? own);
  return [...new Set(from)].join(" and ");
}

/** Flags without which the model would be asked in another way than it was trained. */
function sleuthFlags(config: Config): string {
  const { data, search } = config;
  const passages =
    search.engine === "http"
      ? " --search-url URL"
      : data.index !== ""
        ? " --index INDEX"
        : data.corpus !== "atlas"
          ? " --corpus PASSAGES"
          : "";
  const engine = search.engine === "http" ? [] : ["search.engine", "search.weights", "search.pages"];
  const asked = ["rollout.", "search.topK", "search.k1", "search.b", ...engine];
  const irrelevant = ["rollout.temperature", "rollout.maxConcurrent"];
  const sets = changedKeys(config)
    .filter(({ key }) => asked.some((prefix) => key.startsWith(prefix)) && !irrelevant.includes(key))
    .map(
      ({ key, value }) =>
        ` \\\n  --set ${shellWord(`${key}=${typeof value === "string" ? value : JSON.stringify(value)}`)}`,
    );
  return `${passages}${sets.join("")}`;
}

function configuration({ config, kind }: ExportedRun): string {
  // Where the run and its search server were and on how many threads says nothing about the model, and is private.
  const changed = changedKeys(config).filter(
    ({ key, value }) =>
      !key.startsWith("run.") && !["model.folder", "search.url"].includes(key) && !/^https?:/i.test(String(value)),
  );
  const groups: Record<string, Record<string, unknown>> = {};
  for (const { key, value } of changed) {
    const [group, name] = key.split(".");
    (groups[group] ??= {})[name] = typeof value === "string" ? shortPath(value) : value;
  }
  return `## Configuration

Where it differs from the defaults of \`sleuth ${kind}\` (the run folder has all of it):

\`\`\`json
${JSON.stringify(groups, null, 2)}
\`\`\`
`;
}

function changedKeys(config: Config): { key: string; value: unknown }[] {
  return configKeys().flatMap(({ path: key, default: standard }) => {
    const [group, name] = key.split(".");
    const value = (config as unknown as Record<string, Record<string, unknown>>)[group][name];
    return JSON.stringify(value) === JSON.stringify(standard) ? [] : [{ key, value }];
  });
}

/** `ORG/NAME` of the Hub; of a path its last part, or its run's: where it lay on one machine is private. */
function shortName(base: string): string {
  if (base.startsWith("hf:")) return base.slice("hf:".length).split("@")[0].split("/").slice(0, 2).join("/");
  return path.basename(runAround(base) ?? base);
}

/** The last part of a path; a name of the Hub as it is. */
function shortPath(value: string): string {
  return value.startsWith("hf:") ? value : path.basename(value);
}

function sourceText(source: string, worldSeed: number): string {
  if (source === "atlas") return `Atlas, the world built into Sleuth (held-out countries of seed ${worldSeed})`;
  return inlineCode(shortPath(source));
}

function weightsText(weights: Readonly<Record<string, number>>): string {
  return Object.entries(weights)
    .map(([name, weight]) => `${weight} × ${name}`)
    .join(" + ");
}

/** The licence that the base's own card names. */
function licenceOf(location: string): string | undefined {
  const file = path.join(location, "README.md");
  if (location.endsWith(".gguf") || !existsSync(file)) return undefined;
  const front = /^---\r?\n([\s\S]*?)\r?\n---/.exec(readFileSync(file, "utf8"))?.[1] ?? "";
  return /^license:[ \t]*["']?([\w.-]+)/m.exec(front)?.[1];
}

/** A block as it is, white space at its ends included. */
function fence(text: string): string {
  return `\`\`\`json\n${JSON.stringify(text)}\n\`\`\`\n`;
}

/** At most four decimals. */
function short(value: number): string {
  return String(Number(value.toFixed(4)));
}
