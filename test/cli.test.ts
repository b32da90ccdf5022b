/** @file The command line as its users meet it: as a process, from any folder. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeTinyModel, type TinyModel } from "../src/policy/local/tiny-model.test-support.js";
import { lastJson, sleuth, sleuthHere } from "./run-sleuth.js";

let folder: string;
const file = (name: string): string => join(folder, name);

const passages = [
  { id: "1", contents: '"Ferry times"\nThe ferry to Hven leaves Landskrona at 9:05.' },
  { id: "2", title: "Harbour office", text: "The harbour office of Landskrona opens at 8:00." },
  { id: "3", title: "Library", text: "The library opens at 10:00." },
];

function writeLines(name: string, records: readonly object[]): string {
  writeFileSync(file(name), records.map((record) => `${JSON.stringify(record)}\n`).join(""));
  return file(name);
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "sleuth-cli-"));
  writeLines("passages.jsonl", passages);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("help", () => {
  const verbs = [
    ["demo"],
    ["pretrain"],
    ["sft"],
    ["pull"],
    ["train"],
    ["eval"],
    ["table"],
    ["ask"],
    ["compare"],
    ["rescore"],
    ["export"],
    ["index"],
    ["search"],
    ["serve", "search"],
    ["bench"],
  ];

  it.each(verbs.map((words) => words.join(" ")))("%s --help has examples and --json", async (verb) => {
    const { status, stdout } = await sleuthHere([...verb.split(" "), "--help"]);
    expect(status).toBe(0);
    expect(stdout).toContain("Examples:\n  $ sleuth ");
    expect(stdout).toContain("--json");
  });

  it("without a verb lists the verbs", async () => {
    const { status, stdout } = await sleuthHere([]);
    expect(status).toBe(0);
    for (const [verb] of verbs) expect(stdout).toMatch(new RegExp(`^  ${verb} `, "m"));
  });
});

describe("wrong usage", () => {
  it.each([
    [["serch"], "Did you mean search?"],
    [["search", "x", "--indx", "y"], "Did you mean --index?"],
    [["train", "--question", "q.jsonl"], "Did you mean --questions?"],
    [["index", "a.jsonl"], "--out"],
    [["search", "x", "--index", "y", "--top", "none"], "Expected an integer of at least 1."],
  ])("%j ends with status 2 and says %s", async (args, hint) => {
    const { status, stdout, stderr } = await sleuthHere(args);
    expect(stderr).toContain(hint);
    expect(stderr).toContain("--help");
    expect(status).toBe(2);
    expect(stdout).toBe("");
  });

  it("is an object under --json", async () => {
    const ended = await sleuthHere(["search", "x", "--json"]);
    expect(ended.status).toBe(2);
    expect(lastJson(ended)).toMatchObject({ error: { kind: "usage" } });
  });
});

describe("index, search, serve search", () => {
  it("indexes, finds, serves", async () => {
    const built = await sleuthHere(["index", file("passages.jsonl"), "--out", file("index"), "--json"]);
    expect(built.stderr).toContain("Indexing: 100 %");
    expect(lastJson(built)).toMatchObject({ passages: 3, out: file("index") });

    const found = await sleuth(["search", "ferries", "to", "Landskrona", "--index", "index"], { cwd: folder });
    expect(found.status).toBe(0);
    expect(found.stdout).toMatch(/^ 1\. Ferry times/);

    const answer = await sleuthHere(["search", "ferry", "--index", file("index"), "--json"]);
    expect(lastJson(answer)).toMatchObject({ query: "ferry", hits: [{ id: "1", title: "Ferry times" }] });
    expect(answer.stdout.trim().split("\n")).toHaveLength(1);
  });

  it("does not mind a reader who has left", async () => {
    const args = ["search", "ferry", "--index", file("index")];
    const { status, stderr } = await sleuth(args, { onStart: (child) => child.stdout?.destroy() });
    expect(status).toBe(0);
    expect(stderr).not.toContain("EPIPE");
  });

  it("serves Search-R1's format until it is asked to stop", async () => {
    await sleuthHere(["index", file("passages.jsonl"), "--out", file("served")]);
    let reply: unknown;
    const ended = await sleuth(["serve", "search", "--index", file("served"), "--port", "0"], {
      onStart: (child) =>
        child.stdout?.once("data", (text: string) => {
          const url = /http:\S+retrieve/.exec(text)?.[0] ?? "";
          const body = JSON.stringify({ queries: ["ferry", "library"], topk: 1, return_scores: true });
          void fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body })
            .then((response) => response.json())
            .then((value) => (reply = value))
            .finally(() => child.kill("SIGINT"));
        }),
    });
    expect(ended.status).toBe(0);
    expect(reply).toEqual({
      result: [
        [{ document: { id: "1", contents: passages[0].contents }, score: expect.any(Number) }],
        [{ document: { id: "3", contents: '"Library"\nThe library opens at 10:00.' }, score: expect.any(Number) }],
      ],
    });
  });

  it("names file, line and field of a malformed line, and exits with 1 without a stack", async () => {
    writeFileSync(file("bad.jsonl"), '{"id": "1", "text": "fine"}\n{"id": "2"}\n');
    const { status, stderr } = await sleuthHere(["index", file("bad.jsonl"), "--out", file("bad")]);
    expect(status).toBe(1);
    expect(stderr).toContain(`${file("bad.jsonl")}:2: field "text"`);
    expect(stderr).not.toContain("    at ");
  });

  it("says how to make an index where there is none", async () => {
    const ended = await sleuthHere(["search", "x", "--index", file("nowhere"), "--json"]);
    expect(ended.status).toBe(1);
    expect(lastJson(ended)).toMatchObject({
      error: { kind: "user", message: expect.stringContaining("sleuth index") },
    });
  });
});

describe("train, eval, ask", () => {
  let model: TinyModel;
  const ours = (): string[] => ["--questions", file("questions.jsonl"), "--corpus", file("passages.jsonl")];
  const small = [
    "rollout.maxTokens=160",
    "rollout.maxTokensPerTurn=12",
    "rollout.maxObservationTokens=90",
    "algorithm.groupSize=2",
    "optimizer.warmupSteps=1",
    "train.questionsPerStep=2",
    "train.evalEvery=1",
    "train.checkpointEvery=1",
    "run.threads=1",
  ].flatMap((set) => ["--set", set]);

  beforeAll(async () => {
    model = await makeTinyModel(1, { maxPositions: 160 });
    const questions = Array.from({ length: 20 }, (_, index) => ({
      id: `q${index}`,
      question: `When does ferry ${index} leave?`,
      answers: ["9:05"],
    }));
    writeLines("questions.jsonl", questions);
  });

  afterAll(() => model.remove());

  it("trains on a user's corpus, goes on where it stopped, evaluates and answers", async () => {
    const run = file("run");
    const train = ["train", ...ours(), "--model", model.folder, "--run", run, ...small, "--json"];
    const first = await sleuth([...train, "--steps", "1"], { cwd: folder });
    expect(first.stderr).toContain("step 1/1");
    expect(lastJson(first)).toMatchObject({ status: "finished", steps: 1, runDir: run, after: { greedy: { n: 4 } } });
    for (const name of ["config.json", "metrics.jsonl", "curve.svg", "curve.html", "best/model.safetensors"])
      expect(existsSync(join(run, name)), name).toBe(true);

    const more = await sleuthHere(["train", "--run", run, "--resume", "--steps", "2", "--json"]);
    expect(more.stderr).toContain("after step 1");
    expect(lastJson(more)).toMatchObject({ status: "finished", steps: 2, memory: { recompute: false } });

    const evaluated = await sleuthHere([
      "eval",
      "--run",
      run,
      "--modes",
      "both",
      "--out",
      file("attempts.jsonl"),
      "--json",
    ]);
    expect(lastJson(evaluated)).toMatchObject({ n: 4, greedy: { n: 4 }, sampled: { temperature: 1 } });
    expect(readFileSync(file("attempts.jsonl"), "utf8").trim().split("\n")).toHaveLength(8);
    const kept = ["eval", "--run", run, "--attempts", "2", "--format", "csv", "--out", file("evaluation")];
    const once = await sleuthHere(kept);
    expect(once.stdout).toMatch(/^,sampled,sampled low,sampled high\nexact match,[^]*\npass@2,[^]*\nquestions,4,,\n$/);
    const again = await sleuthHere(kept);
    expect(again).toMatchObject({ status: 0, stdout: once.stdout });
    expect(again.stderr).toContain("holds the finished evaluation: nothing was computed");
    expect((await sleuthHere([...kept, "--seed", "5"])).stderr).toContain("differs in seed");
    const many = ["eval", "--run", run, "--attempts", "50", "--out", file("interrupted"), "--json"];
    const poll = setInterval(() => {
      if (!existsSync(file("interrupted/attempts.jsonl"))) return;
      clearInterval(poll);
      process.emit("SIGINT");
    }, 5);
    const stopped = await sleuthHere(many);
    expect([stopped.status, lastJson(stopped)]).toMatchObject([130, { status: "interrupted" }]);
    expect(stopped.stderr).toContain("the same command goes on from there");
    const finished = await sleuthHere(many);
    expect(finished.stderr).toMatch(/Going on after [\d,]+ attempts? on file/);
    expect(lastJson(finished)).toMatchObject({ sampled: { n: 4, attempts: 50 } });

    const asked = await sleuthHere(["ask", "When does the ferry leave?", "--run", run]);
    expect(asked.status).toBe(0);
    expect(asked.stdout).toContain("Question: When does the ferry leave?");
    expect(asked.stderr).toMatch(/Memory: at most \d+ MB of .* expected \(/);

    const tooLittle = await sleuthHere(["ask", "When does the ferry leave?", "--run", run, "--memory", "16MB"]);
    expect(tooLittle).toMatchObject({ status: 1, stdout: "" });
    expect(tooLittle.stderr).toMatch(/takes at least .*, but 16 MB may be used/);

    const weights = join(run, "best", "model.safetensors");
    const bytes = readFileSync(weights);
    bytes[bytes.length - 1] ^= 1;
    writeFileSync(weights, bytes);
    const damaged = await sleuthHere(["ask", "When does the ferry leave?", "--run", run]);
    expect(damaged.status).toBe(1);
    expect(damaged.stderr).toMatch(
      /best is damaged \(model.safetensors has other content than was written\).*--model .*policy/,
    );
  });

  it("stops at Ctrl-C with a checkpoint and the command that goes on", async () => {
    const run = file("stopped");
    const ended = await sleuth(
      ["train", ...ours(), "--model", model.folder, "--run", run, ...small, "--steps", "500"],
      {
        onStart: (child) => {
          const poll = setInterval(() => {
            if (!existsSync(join(run, "checkpoints", "latest"))) return;
            clearInterval(poll);
            child.kill("SIGINT");
          }, 50);
          child.once("exit", () => clearInterval(poll));
        },
      },
    );
    expect(ended.status).toBe(130);
    expect(ended.stdout).toContain(`sleuth train --run ${run} --resume`);
    const more = await sleuthHere(["train", "--run", run, "--resume", "--steps", "1", "--json"]);
    expect(lastJson(more)).toMatchObject({ status: "finished" });
  });

  it.each([
    [["--set", "train.stesp=3"], "Did you mean train.steps?"],
    [["--set", "steps=3"], "Did you mean train.steps?"],
    [["--set", "train.steps=many"], "Expected integer"],
    [["--resume"], "not a run folder"],
    [["--model", "nowhere"], "nowhere"],
  ])("%j is explained", async (args, hint) => {
    const { status, stderr } = await sleuthHere(["train", ...ours(), "--run", file("never"), ...args]);
    expect(stderr).toContain(hint);
    expect(stderr).not.toContain("    at ");
    expect(status).toBe(1);
  });

  it("says that a file is no run and no index, and which run it belongs to", async () => {
    const found = async (...args: string[]): Promise<string> => {
      const { status, stderr } = await sleuthHere(args);
      expect(status).toBe(1);
      return stderr;
    };
    const path = writeLines("a-file", [{}]);
    for (const verb of [["eval"], ["ask", "Who?"], ["train", "--resume"]])
      expect(await found(...verb, "--run", path)).toMatch(/a-file is a file, and a run is a folder\. Give the folder/);
    expect(await found("train", ...ours(), "--model", model.folder, "--run", path)).toContain(
      "is a file, and a run is",
    );
    mkdirSync(file("a-run"));
    for (const name of ["config.json", "result.json"]) writeFileSync(join(file("a-run"), name), "{}");
    expect(await found("eval", "--run", join(file("a-run"), "result.json"))).toContain(
      `belongs to is ${file("a-run")}.`,
    );
    expect(await found("search", "x", "--index", path)).toContain("a-file is a file, and a search index is a folder");
  });

  it("says that a question is empty", async () => {
    for (const question of ["", "  "]) {
      const { status, stderr } = await sleuthHere(["ask", question, "--model", model.folder]);
      expect(status).toBe(1);
      expect(stderr).toMatch(/The question is empty\. Write one in quotes: sleuth ask/);
    }
  });

  it("says how to get the model of a preset", async () => {
    const { status, stderr } = await sleuth(["train", "--preset", "smollm2"], { cwd: folder });
    expect(status).toBe(1);
    expect(stderr).toMatch(/not there yet.*npm run fixtures:smollm2.*SLEUTH_SMOLLM2 to hf:HuggingFaceTB\/SmolLM2/);
  });

  it("names the nearest key of a configuration file", async () => {
    writeFileSync(file("sleuth.config.ts"), "export default { train: { stepz: 3 } };");
    const { status, stderr } = await sleuthHere(["train", "--config", file("sleuth.config.ts")]);
    expect(status).toBe(1);
    expect(stderr).toContain("train.stepz");
    expect(stderr).toContain("Did you mean train.steps?");
  });

  it("names file, line and field of a malformed question", async () => {
    writeFileSync(file("bad-questions.jsonl"), '{"id": "1", "question": "Who?"}\n');
    const { status, stderr } = await sleuthHere([
      "eval",
      "--questions",
      file("bad-questions.jsonl"),
      "--model",
      model.folder,
    ]);
    expect(status).toBe(1);
    expect(stderr).toContain(`${file("bad-questions.jsonl")}:1`);
    expect(stderr).toContain("answers");
  });
});

describe("pretrain", () => {
  it("makes a model folder that eval opens, and refuses to go on with other settings", async () => {
    const run = file("pretrained");
    const args = ["pretrain", "--run", run, "--threads", "1", "--json"];
    const made = await sleuthHere([...args, "--tokens", "3000", "--out", file("base")]);
    expect(lastJson(made)).toMatchObject({ modelFolder: file("base") });
    for (const name of ["config.json", "model.safetensors", "tokenizer.json"])
      expect(existsSync(join(file("base"), name)), name).toBe(true);

    const evaluated = await sleuthHere(["eval", "--model", file("base"), "--set", "train.testSize=3", "--json"]);
    expect(lastJson(evaluated)).toMatchObject({ n: 3 });

    const other = await sleuthHere([...args, "--tokens", "4000"]);
    expect(other.status).toBe(1);
    expect(other.stderr).toContain("other settings");
  });
});
