/** @file What `sleuth export` writes is what was trained, and nothing is written by half. */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { channelRangesFile, loadAdapterFolder } from "../engine/io/adapter-folder.js";
import { loadModelFolder } from "../engine/io/model-folder.js";
import { parameter } from "../engine/model/parameters.js";
import { toEvaluation, toReport, type EvaluationReport } from "../eval/evaluation.js";
import { recordOf } from "../eval/folder.test-support.js";
import { LocalEngine } from "../policy/local/engine.js";
import type { Policy } from "../contracts/policy.js";
import { makeTinyModel, type TinyModel } from "../policy/local/tiny-model.test-support.js";
import { lastJson, sleuthHere, type Ended } from "../../test/run-sleuth.js";
import { saveBest, saveCheckpoint, type TrainState } from "../train/checkpoint.js";
import { parseConfig, type ConfigInput } from "../train/config/config.js";
import { locateModel } from "../train/model-folder.js";
import { allLoraTargets, mergeInto, type LoraTarget } from "../engine/model/lora.js";
import { saveResult } from "../train/result.js";
import { openRun } from "../train/run-folder.js";

const root = mkdtempSync(path.join(tmpdir(), "sleuth-export-"));
const file = (...names: string[]): string => path.join(root, ...names);
const tokens_T = Array.from({ length: 24 }, (_, index) => (7 * index + 3) % 250);
const template = "{% for message in messages %}{{ message.content }}{% endfor %}";
let base: TinyModel;

function report(exactMatch: 0 | 1): EvaluationReport {
  const question = { id: "q", question: "?", answers: ["a"] };
  const records = [0, 1].map((index) => recordOf(question, exactMatch === 1 ? "a" : "b", { index }));
  return toReport(toEvaluation(records, { temperature: 0, seconds: 1 }));
}

/**
 * A run folder as `sleuth train` leaves it: a checkpoint of step 1, the best of step 2, and the result.
 * @returns the log-probabilities of `tokens_T` under both
 */
async function makeRun(
  name: string,
  input: ConfigInput,
  targets: readonly LoraTarget[] = allLoraTargets,
): Promise<{ first: Float32Array; best: Float32Array }> {
  const folder = file(name);
  const rollout = { protocol: "search-r1", templateVariables: { quiet: true } } as const;
  const config = parseConfig({ ...input, run: { precision: "float32", ...input.run, folder, threads: 1 }, rollout });
  const opened = await openRun(folder, config);
  const { folder: model, adapt, loraRank: rank, loraAlpha: alpha } = config.model;
  // On this thread: a worker takes longer to start than all the rest.
  const engine = await LocalEngine.open({
    ...(await locateModel(model)),
    adapt,
    lora: { rank, alpha, targets },
    precision: config.run.precision,
    calibration: [tokens_T],
    threads: 1,
  });
  const policy = engine as unknown as Policy;
  const step = async (): Promise<Float32Array> => {
    const weights_T = new Float32Array(tokens_T.length).fill(0.05);
    const datum = { tokens_T, weights_T, sampledMask_T: new Uint8Array(tokens_T.length).fill(1) };
    await policy.forwardBackward([datum], { kind: "cross_entropy" });
    await policy.optimStep({ ...config.optimizer, learningRate: 0.02 });
    return (await engine.logprobs([tokens_T], {}))[0];
  };
  const state: TrainState = { step: 1, drawn: 0, seconds: 3, algorithm: null, best: null, pending: null };
  const first = await step();
  await saveCheckpoint(folder, policy, state, { keep: 2, warn: () => undefined });
  const best = await step();
  await saveBest(folder, policy, { step: 2, score: 0.5 });
  await policy.close();
  await opened.close();
  await saveResult({
    ...{ folder, status: "finished", steps: 3, seconds: 6, best: { step: 2, score: 0.5 }, peakMemoryMb: 1 },
    ...{ before: { greedy: report(0) }, after: { greedy: report(1) } },
  } as Parameters<typeof saveResult>[0]);
  return { first, best };
}

const sleuthExport = (...args: string[]): Promise<Ended> => sleuthHere(["export", ...args]);

async function logprobsOf(model: string): Promise<Float32Array> {
  const engine = await LocalEngine.open({ ...(await locateModel(model)), threads: 1 });
  const [row] = await engine.logprobs([tokens_T], {});
  await engine.close();
  return row;
}

function largestDifference(a: Float32Array, b: Float32Array): number {
  return Math.max(...Array.from(a, (value, index) => Math.abs(value - b[index])));
}

function json(...names: string[]): Record<string, unknown> {
  return JSON.parse(readFileSync(file(...names), "utf8")) as Record<string, unknown>;
}

/** Folders that a failed export may have left beside `out`. */
const leftovers = (): string[] => readdirSync(root).filter((name) => /\.(tmp|old)$/.test(name));

let adapted: Awaited<ReturnType<typeof makeRun>>;
let whole: Awaited<ReturnType<typeof makeRun>>;
let rounded: Awaited<ReturnType<typeof makeRun>>;

beforeAll(async () => {
  base = await makeTinyModel(1, { eosTokenIds: [1, 0] });
  writeFileSync(path.join(base.folder, "chat_template.jinja"), template);
  writeFileSync(path.join(base.folder, "README.md"), "---\nlicense: apache-2.0\n---\n# Tiny\n");
  const model = {
    folder: base.folder,
    adapt: "lora",
    loraRank: 3,
    loraAlpha: 5,
    loraTargets: "q_proj,up_proj",
  } as const;
  const search = { topK: 2, engine: "http", url: "http://host.example/retrieve" } as const;
  const data = { questions: "../private/customer/questions.jsonl" };
  adapted = await makeRun("adapted", { model, search, data }, ["q_proj", "up_proj"]);
  rounded = await makeRun("rounded", { model, search, data, run: { precision: "int8" } }, ["q_proj", "up_proj"]);
  const fused = {
    engine: "bm25+opensearch",
    weights: "1,2",
    url: "http://host.example:9200",
    collection: "wiki",
    rerank: "https://host.example/rerank",
  };
  whole = await makeRun("whole", {
    model: { folder: base.folder, adapt: "full" },
    search: fused,
    data: { index: "../private/wiki" },
  });
});

afterAll(async () => {
  await base.remove();
  rmSync(root, { recursive: true });
});

describe("a run that trained an adapter", () => {
  it("is exported merged: base + (α/r)·B·A to the last bit, and the model computes what was trained", async () => {
    const ended = await sleuthExport(file("adapted"), "--out", file("merged"), "--json");
    expect(ended.stderr).toContain("Exporting: 100 %");
    expect(lastJson(ended)).toMatchObject({ as: "merged", dtype: "f32", run: file("adapted"), base: base.folder });
    const { config, parameters } = await loadModelFolder(base.folder);
    const { adapter } = await loadAdapterFolder(file("adapted", "best"), config);
    expect(adapter.lora).toEqual({ rank: 3, alpha: 5, targets: ["q_proj", "up_proj"] });
    const exported = await loadModelFolder(file("merged"));
    expect(exported.config).toEqual(config);
    for (const { name } of parameters.shapes) {
      mergeInto(parameter(parameters, name), name, adapter);
      expect(parameter(exported.parameters, name), name).toEqual(parameter(parameters, name));
    }
    const computed = await logprobsOf(file("merged"));
    expect(largestDifference(computed, adapted.best)).toBeLessThan(1e-5);
    expect(largestDifference(computed, adapted.first)).toBeGreaterThan(1e-3);
  });

  it("over 8-bit weights is merged into those in float32, and says so; as an adapter it keeps what they were made from", async () => {
    const ended = await sleuthExport(file("rounded"), "--out", file("unrounded"));
    expect(ended.stdout).toMatch(
      /trained over 8-bit weights and is merged into float32 ones\. What that scores: sleuth/,
    );
    expect(ended.stdout).toContain(`sleuth eval --run ${file("rounded")} --set run.precision=float32`);
    const card = readFileSync(file("unrounded", "README.md"), "utf8");
    expect(card).toMatch(/\| Frozen weights \| 8-bit numbers in training and in the tests .* here float32 \|/);
    expect(card).toMatch(/They are those of the policy over 8-bit weights\. .*run\.precision=float32/);
    expect(existsSync(file("unrounded", channelRangesFile))).toBe(false);
    const difference = largestDifference(await logprobsOf(file("unrounded")), rounded.best);
    expect(difference).toBeGreaterThan(0);
    expect(difference).toBeLessThan(0.3);
    for (let round = 0; round < 2; round++)
      await sleuthExport(file("rounded"), "--out", file("rounded-adapter"), "--as", "adapter", "--force", "--json");
    expect(await logprobsOf(file("rounded-adapter"))).toEqual(rounded.best);
  });

  it("is exported as the adapter that it trained, for the same base", async () => {
    const ended = await sleuthExport(file("adapted"), "--out", file("adapter"), "--as", "adapter", "--json");
    expect(lastJson(ended)).toMatchObject({ as: "adapter", base: base.folder });
    const { config } = await loadModelFolder(base.folder);
    const [ours, trained] = await Promise.all(
      ["adapter", "adapted/best"].map((name) => loadAdapterFolder(file(name), config)),
    );
    expect(ours.adapter.lora).toEqual(trained.adapter.lora);
    expect(ours.adapter.parameters.flat).toEqual(trained.adapter.parameters.flat);
    expect(ours.base).toBe(base.folder);
    expect(await logprobsOf(file("adapter"))).toEqual(adapted.best);
    expect(existsSync(file("adapter", "config.json"))).toBe(false);
  });

  it.each([
    ["f16", 0.02],
    ["bf16", 0.2],
  ] as const)("is exported in half the space as %s, near enough", async (dtype, tolerance) => {
    await sleuthExport(file("adapted"), "--out", file("half"), "--dtype", dtype, "--force");
    expect(json("half", "config.json").torch_dtype).toBe({ f16: "float16", bf16: "bfloat16" }[dtype]);
    const computed = await logprobsOf(file("half"));
    expect(largestDifference(computed, adapted.best)).toBeLessThan(tolerance);
    expect(computed).not.toEqual(adapted.best);
  });

  it("brings tokenizer, chat template and the tokens that end a text", async () => {
    await sleuthExport(file("adapted"), "--out", file("complete"));
    expect(readFileSync(file("complete", "chat_template.jinja"), "utf8")).toBe(template);
    expect(json("complete", "tokenizer.json")).toEqual(
      JSON.parse(readFileSync(path.join(base.folder, "tokenizer.json"), "utf8")),
    );
    expect(json("complete", "tokenizer_config.json")).toEqual({
      tokenizer_class: "PreTrainedTokenizerFast",
      eos_token: "<eos>",
      pad_token: "<pad>",
    });
    expect(json("complete", "generation_config.json")).toEqual({ eos_token_id: [1, 0] });
  });

  it("leaves out how the base would sample, and names the class that reads tokenizer.json as it stands", async () => {
    cpSync(base.folder, file("spoken"), { recursive: true });
    const generation = { bos_token_id: 2, pad_token_id: 0, repetition_penalty: 1.1, do_sample: true, top_p: 0.8 };
    writeFileSync(file("spoken", "generation_config.json"), JSON.stringify(generation));
    const settings = { tokenizer_class: "LlamaTokenizer", eos_token: "<eos>", legacy: true };
    writeFileSync(file("spoken", "tokenizer_config.json"), JSON.stringify(settings));
    const { status, stderr } = await sleuthExport(file("spoken"), "--out", file("measured"));
    expect(status, stderr).toBe(0);
    const kept = { bos_token_id: 2, pad_token_id: 0, eos_token_id: [1, 0] };
    expect(json("measured", "generation_config.json")).toEqual(kept);
    expect(json("measured", "tokenizer_config.json")).toEqual({
      ...settings,
      tokenizer_class: "PreTrainedTokenizerFast",
    });
    const card = readFileSync(file("measured", "README.md"), "utf8");
    expect(card).toMatch(/`generation_config.json` holds the ids that begin, end and pad a text and nothing else/);
  });

  it("brings an adapter's own tokenizer and template in place of the base's", async () => {
    cpSync(file("adapted", "best"), file("talking"), { recursive: true });
    writeFileSync(file("talking", "chat_template.jinja"), "of the adapter");
    writeFileSync(file("talking", "generation_config.json"), JSON.stringify({ eos_token_id: 4 }));
    writeFileSync(file("talking", "tokenizer.model"), "");
    cpSync(path.join(base.folder, "model.safetensors"), file("talking", "model.safetensors"));
    for (const as of ["merged", "adapter"]) {
      const { status, stderr } = await sleuthExport(file("talking"), "--as", as, "--out", file(`talking-${as}`));
      expect(status, stderr).toBe(0);
      expect(stderr).toMatch(/holds an adapter and a whole model \(model.safetensors\). The adapter is used/);
      expect(stderr).toMatch(/has a tokenizer in tokenizer.model and no tokenizer.json/);
      expect(readFileSync(file(`talking-${as}`, "chat_template.jinja"), "utf8")).toBe("of the adapter");
    }
  });

  it("comes with a card: base, licence, recipe, data, scores, commit, prompt, how to load it", async () => {
    await sleuthExport(file("adapted", "best"), "--out", file("carded"), "--as", "adapter");
    const card = readFileSync(file("carded", "README.md"), "utf8");
    const front = card.slice(0, card.indexOf("# carded"));
    expect(front).toMatch(/^---\nbase_model: model\nbase_model_relation: adapter\nlibrary_name: peft\n/);
    expect(front).toContain("license: apache-2.0\n");
    for (const tag of ["sleuth", "search-r1", "reinforcement-learning", "grpo", "lora"])
      expect(front).toContain(`  - ${tag}\n`);
    for (const text of [
      "rank 3, alpha 5, on q_proj, up_proj",
      "GRPO, 8 attempts per question",
      "2 passages per search",
      "| Questions | `questions.jsonl` |",
      "| Passages | a search server |",
      '"questions": "questions.jsonl"',
      "--search-url URL",
      "| Checkpoint | after 2 steps |",
      "| Run | 3 steps, 6.0 s of training |",
      "| exact match | 0.000 [0.000, 0.658] | 1.000 [0.342, 1.000] |",
      "as a user's message through the chat template, which is told `quiet=true`",
      `--set 'rollout.templateVariables={"quiet":true}'`,
      "You must conduct reasoning inside <think>",
      "PeftModel.from_pretrained(base,",
      "model.generation_config = GenerationConfig.from_pretrained(",
      "--set rollout.protocol=search-r1",
      '"topK": 2',
    ])
      expect(card).toContain(text);
    const { starts } = json("adapted", "run.json") as { starts: { sleuth: string; commit: string | null }[] };
    const [{ sleuth, commit }] = starts;
    expect(card).toContain(`Sleuth ${sleuth}${commit === null ? "" : `, commit ${commit}`}, on`);
    expect(card).not.toContain(root);
    expect(card).not.toContain(path.dirname(base.folder));
    expect(card).not.toMatch(/host\.example|private|customer/);
  });

  it("says where passages came from, whatever the engine, and gives no address away", async () => {
    await sleuthExport(file("whole", "best"), "--out", file("fused"));
    const card = readFileSync(file("fused", "README.md"), "utf8");
    for (const text of [
      "| Passages | `wiki` and an OpenSearch index |",
      "--index INDEX",
      "--set search.engine=bm25+opensearch",
      "--set search.weights=1,2",
    ])
      expect(card).toContain(text);
    expect(card).not.toMatch(/host\.example|private/);
  });

  it("gives a checkpoint no scores that are another's", async () => {
    const checkpoint = file("adapted", "checkpoints", "step-000001");
    const ended = await sleuthExport(checkpoint, "--out", file("first"), "--json");
    expect(lastJson(ended)).toMatchObject({ run: file("adapted"), model: path.join(checkpoint, "policy") });
    expect(largestDifference(await logprobsOf(file("first")), adapted.first)).toBeLessThan(1e-5);
    const card = readFileSync(file("first", "README.md"), "utf8");
    expect(card).toContain("| Checkpoint | after 1 step |");
    expect(card).toContain("None were recorded for this very checkpoint.");
    expect(card).not.toContain("exact match |");
  });
});

describe("a run that trained all weights", () => {
  it("is exported to the last bit", async () => {
    const ended = await sleuthExport(file("whole"), "--out", file("full"), "--json");
    expect(lastJson(ended)).toMatchObject({ as: "merged", base: null });
    expect(await logprobsOf(file("full"))).toEqual(whole.best);
    const card = readFileSync(file("full", "README.md"), "utf8");
    expect(card).toContain("base_model: model\nbase_model_relation: finetune\nlibrary_name: transformers\n");
    expect(card).toContain("| Trained weights | all |");
  });

  it("has no adapter to hand back", async () => {
    const { status, stderr } = await sleuthExport(file("whole"), "--out", file("none"), "--as", "adapter");
    expect(status).toBe(1);
    expect(stderr).toMatch(/holds all weights of a model.*--as merged.*model.adapt=lora/s);
    expect(existsSync(file("none"))).toBe(false);
  });

  it("tells of the run before it", async () => {
    await makeRun("second", { model: { folder: file("whole", "best"), adapt: "lora" } });
    await sleuthExport(file("second"), "--out", file("chained"));
    const card = readFileSync(file("chained", "README.md"), "utf8");
    expect(card).toContain("| Trained before | by reinforcement, 2 steps |");
    expect(card).toContain("base_model: whole\n");
  });
});

describe("any model", () => {
  it("is exported without a run, and says so", async () => {
    await sleuthExport(base.folder, "--out", file("copied"));
    const { flat } = (await loadModelFolder(base.folder)).parameters;
    expect((await loadModelFolder(file("copied"))).parameters.flat).toEqual(flat);
    const card = readFileSync(file("copied", "README.md"), "utf8");
    expect(card).toContain("This is `model`, converted (f32) and not trained.");
    expect(card).not.toContain("## Scores");
  });
});

describe("is refused, with nothing written:", () => {
  async function refused(args: string[], message: RegExp): Promise<void> {
    const out = args[args.indexOf("--out") + 1];
    const existed = existsSync(out);
    const { status, stderr } = await sleuthExport(...args);
    expect(stderr).toMatch(message);
    expect(stderr).not.toContain("    at ");
    expect(status).toBe(1);
    expect(existsSync(out)).toBe(existed);
    expect(leftovers()).toEqual([]);
  }

  it("nothing, or something else, at the place", async () => {
    await refused([file("nowhere"), "--out", file("x")], /There is nothing at .*nowhere.*run folder/);
    mkdirSync(file("empty"));
    await refused([file("empty"), "--out", file("x")], /config\.json/);
  });

  it("an --out that holds something", async () => {
    mkdirSync(file("taken"));
    writeFileSync(file("taken", "letter.txt"), "dear");
    await refused([file("whole"), "--out", file("taken")], /exists and is not empty.*--force/);
    await refused([file("whole"), "--out", file("taken"), "--force"], /something other than an exported model/);
    await sleuthExport(base.folder, "--out", file("cloned"));
    mkdirSync(file("cloned", ".git"));
    await refused([file("whole"), "--out", file("cloned"), "--force"], /other than an exported model \(\.git\)/);
    expect(existsSync(file("cloned", ".git"))).toBe(true);
    expect(readFileSync(file("taken", "letter.txt"), "utf8")).toBe("dear");
    await refused([file("whole"), "--out", file("taken", "letter.txt")], /is a file/);
    await refused([file("whole"), "--out", file("taken", "letter.txt", "x")], /Cannot write .*Nothing was written/);
  });

  it("an --out around the model itself", async () => {
    const before = readdirSync(file("whole")).sort();
    await refused([file("whole"), "--out", file("whole", "best"), "--force"], /holds the model that is to be exported/);
    await refused([file("whole"), "--out", file("whole"), "--force"], /holds the model that is to be exported/);
    await refused([file("adapted"), "--out", base.folder, "--force"], /holds the model that is to be exported/);
    expect(readdirSync(file("whole")).sort()).toEqual(before);
  });

  it("a base that has moved, and a wrong one", async () => {
    const moved = await makeTinyModel(1);
    cpSync(file("adapted", "best"), file("lonely"), { recursive: true });
    const settings = { ...json("lonely", "adapter_config.json"), base_model_name_or_path: file("gone") };
    writeFileSync(file("lonely", "adapter_config.json"), JSON.stringify(settings));
    await refused([file("lonely"), "--out", file("x")], /adapter of .*gone, which is not on this machine.*--base/);
    await sleuthExport(file("lonely"), "--base", moved.folder, "--out", file("found"));
    expect(largestDifference(await logprobsOf(file("found")), adapted.best)).toBeLessThan(1e-5);
    const other = await makeTinyModel(1, { layers: 3 });
    await refused([file("lonely"), "--base", other.folder, "--out", file("x")], /lacks the tensor.*layers\.2/);
    await refused([file("lonely"), "--base", file("adapter"), "--out", file("x")], /is an adapter itself/);
    await refused([base.folder, "--base", moved.folder, "--out", file("x")], /holds all weights.*Leave --base out/);
    writeFileSync(
      file("lonely", "adapter_config.json"),
      JSON.stringify({ ...settings, base_model_name_or_path: null }),
    );
    await refused([file("lonely"), "--out", file("x")], /does not say which model it adapts.*--base MODEL/);
    const named = await sleuthExport(file("lonely"), "--base", moved.folder, "--out", file("named"));
    expect(named.status, named.stderr).toBe(0);
    const packed = { ...(JSON.parse(readFileSync(path.join(moved.folder, "config.json"), "utf8")) as object) };
    mkdirSync(file("tiny-bnb-4bit"));
    writeFileSync(
      file("tiny-bnb-4bit", "config.json"),
      JSON.stringify({ ...packed, quantization_config: { quant_method: "bitsandbytes", load_in_4bit: true } }),
    );
    writeFileSync(
      file("lonely", "adapter_config.json"),
      JSON.stringify({ ...settings, base_model_name_or_path: file("tiny-bnb-4bit") }),
    );
    await refused([file("lonely"), "--out", file("x")], /weights are quantized.*export .*lonely --base MODEL/);
    await moved.remove();
    await other.remove();
  });

  it("a damaged checkpoint, and weights that turn out to be broken on the way", async () => {
    cpSync(file("adapted"), file("bent"), { recursive: true });
    const weights = file("bent", "checkpoints", "step-000001", "policy", "adapter_model.safetensors");
    writeFileSync(weights, readFileSync(weights).subarray(1));
    await refused([file("bent", "checkpoints", "step-000001"), "--out", file("x")], /damaged.*another one/);
    cpSync(base.folder, file("broken"), { recursive: true });
    const bytes = readFileSync(file("broken", "model.safetensors"));
    // The last tensors become NaN: found when most of the others are written.
    bytes.fill(0xff, bytes.length - 400);
    writeFileSync(file("broken", "model.safetensors"), bytes);
    await refused([file("broken"), "--out", file("x")], /holds NaN at index/);
  });
});

it("replaces an earlier export with --force", async () => {
  await sleuthExport(base.folder, "--out", file("again"));
  await sleuthExport(file("adapted"), "--as", "adapter", "--out", file("again"), "--force");
  expect(readdirSync(file("again")).sort()).toEqual([
    "README.md",
    "adapter_config.json",
    "adapter_model.safetensors",
    "chat_template.jinja",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
  ]);
  expect(leftovers()).toEqual([]);
});

it("has examples in --help", async () => {
  const { stdout } = await sleuthExport("--help");
  expect(stdout).toContain("Examples:\n  $ sleuth export ");
});
