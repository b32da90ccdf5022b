/** @file `sleuth sft` as its users meet it: from transcripts to a model that eval opens; stopped, it goes on. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { makeTinyModel, type TinyModel } from "../src/policy/local/tiny-model.test-support.js";
import { lastJson, sleuth, sleuthHere } from "./run-sleuth.js";

let folder: string;
let model: TinyModel;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "sleuth-sft-"));
  model = await makeTinyModel(1, { maxPositions: 160 });
  const lines = Array.from({ length: 20 }, (_, index) => ({
    id: index,
    question: `When does ferry ${index} leave?`,
    turns: [
      { role: "policy", text: "<search> ferry</search>" },
      { role: "environment", passages: [{ title: "Ferry", text: "It leaves at 9." }] },
      { role: "policy", text: "<answer> 9</answer>" },
    ],
  }));
  writeFileSync(join(folder, "transcripts.jsonl"), lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
});
afterAll(async () => {
  await model.remove();
  rmSync(folder, { recursive: true, force: true });
});

const args = (run: string): string[] => [
  ...["sft", "--transcripts", join(folder, "transcripts.jsonl"), "--model", model.folder, "--run", run, "--batch", "4"],
  ...["rollout.maxTokens=160", "rollout.maxTokensPerTurn=24", "sft.learningRate=0.01", "run.threads=1"].flatMap(
    (set) => ["--set", set],
  ),
];

it("teaches a model, which eval then opens; a wrong line is named", async () => {
  const run = join(folder, "run");
  const taught = await sleuthHere([...args(run), "--epochs", "3", "--json"]);
  expect(taught.stderr).toContain("16 transcripts to learn from, 4 set aside");
  expect(taught.stderr).toMatch(/step 12\/12, loss \d\.\d+, set aside \d\.\d+, .* tokens\/s/);
  expect(taught.stderr).toContain(`sleuth eval --run ${run} --questions`);
  const answer = lastJson<{ validation: { before: number; best: number } }>(taught);
  expect(answer).toMatchObject({ status: "finished", steps: 12, runDir: run, modelFolder: join(run, "best") });
  expect(answer.validation.best).toBeLessThan(0.8 * answer.validation.before);

  const questions = join(folder, "questions.jsonl");
  writeFileSync(questions, '{"id":1,"question":"When does ferry 1 leave?","answers":["9"]}\n');
  const evaluated = await sleuthHere(["eval", "--run", run, "--questions", questions, "--modes", "greedy", "--json"]);
  expect(lastJson(evaluated)).toMatchObject({ n: 1 });

  // Another prompt than the one it was taught with is worth a word.
  const bare = await sleuthHere([
    "ask",
    "When does ferry 1 leave?",
    "--model",
    join(run, "best"),
    "--set",
    "rollout.chat=never",
  ]);
  expect(bare.stderr).toContain("As it knows it: --set rollout.chat=auto");
  expect(evaluated.stderr).not.toContain("As it knows it");

  const bad = join(folder, "bad.jsonl");
  writeFileSync(bad, '{"id":1,"question":"Who?","turns":[{"role":"policy","text":"me"}]}\n');
  const refused = await sleuthHere(["sft", "--transcripts", bad, "--model", model.folder, "--run", join(folder, "no")]);
  expect(refused.status).toBe(1);
  expect(refused.stderr).toContain(`${bad}:1: field "turns[0].text" must end with </search> or </answer>`);
  expect(existsSync(join(folder, "no"))).toBe(false);
});

it("stops at Ctrl-C with a checkpoint and the command that goes on", async () => {
  const run = join(folder, "stopped");
  const ended = await sleuth([...args(run), "--epochs", "400", "--set", "train.checkpointEvery=1"], {
    cwd: folder,
    onStart: (child) => {
      const poll = setInterval(() => {
        if (!existsSync(join(run, "checkpoints", "latest"))) return;
        clearInterval(poll);
        child.kill("SIGINT");
      }, 50);
      child.once("exit", () => clearInterval(poll));
    },
  });
  expect(ended.status).toBe(130);
  expect(ended.stdout).toContain(`sleuth sft --run ${run} --resume`);
  const more = ["sft", "--run", run, "--resume", "--set", "train.stopAfterSeconds=0.001", "--json"];
  const resumed = await sleuthHere(more);
  expect(resumed.stderr).toContain("Continuing");
  expect(lastJson(resumed)).toMatchObject({ status: "out-of-time", runDir: run });
});

it("needs a run to go on with", async () => {
  const { status, stderr } = await sleuthHere(["sft", "--resume"]);
  expect(status).toBe(1);
  expect(stderr).toContain("--resume needs the run to go on with");
});
