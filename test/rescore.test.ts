/** @file The reward lab through the command line, on a small run recorded here. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { attemptOf, searchCall, type AttemptOptions } from "../src/rewards/attempts.test-support.js";
import { traceToLine } from "../src/rollout/trace.js";
import type { RescoreReport } from "../src/train/report/rescore.js";
import type { Question } from "../src/types.js";
import { lastJson, sleuth, sleuthHere } from "./run-sleuth.js";

let folder: string;
let run: string;
const question: Question = { id: "q1", question: "What is the capital of France?", answers: ["Paris"] };
const think = "<think> so </think>";

/** A line of a trace: what was answered after one search, and the recorded reward. */
function line(
  step: number | undefined,
  answer: string | null,
  reward: number | undefined,
  more: AttemptOptions = {},
): string {
  const last = answer === null ? "hm" : `${think}<answer> ${answer} </answer>`;
  const searches = more.searches ?? [searchCall("capital of France", "Paris it is.")];
  const trajectory = attemptOf([`${think}<search> q </search>`, last], answer, { ...more, searches });
  // Tokens are not needed: the model may be gone.
  for (const segment of trajectory.segments) segment.tokens_T = [];
  return `${traceToLine({ step, question, reward, trajectory })}\n`;
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "sleuth-rescore-"));
  run = join(folder, "run");
  mkdirSync(join(run, "trajectories"), { recursive: true });
  mkdirSync(join(run, "evaluations"));
  // A key of a version that is no more, and no model anywhere.
  const config = {
    rollout: { protocol: "search-r1", gone: 1 },
    algorithm: { normalise: true },
    reward: { weights: { "exact-match": 1 } },
  };
  writeFileSync(join(run, "config.json"), JSON.stringify(config));
  const steps = [
    [line(1, "Paris", 1), line(1, "Rome", 0), line(1, null, 0)],
    [
      line(2, "the city of Paris", 0),
      line(2, "Paris, Rome, Milan, Berlin", 0),
      line(2, "Beijing", 0, { searches: [searchCall("q", "x")] }),
    ],
  ];
  for (const [index, lines] of steps.entries())
    writeFileSync(join(run, "trajectories", `step-00000${index + 1}.jsonl`), lines.join(""));
  writeFileSync(
    join(run, "evaluations", "after-greedy.jsonl"),
    line(undefined, "Paris", 1) + line(undefined, "France", 0),
  );
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const here = (...args: string[]): ReturnType<typeof sleuthHere> => sleuthHere(["rescore", run, ...args]);

describe("sleuth rescore", () => {
  it("says where two rewards disagree, and what looks like hacking", async () => {
    const { status, stdout, stderr } = await sleuth(["rescore", run, "--reward", "cover-match", "--traces", "1"]);
    expect(stderr).toContain("Scoring: 100 %");
    expect(status).toBe(0);
    expect(stdout).toMatch(/ +attempts +recorded +cover-match +correlation +disagree/);
    expect(stdout).toMatch(/step 1 +3 +0\.333 +0\.333 +1\.00 +0 \(0\.0 %\)/);
    expect(stdout).toMatch(/step 2 +3 +0\.000 +0\.667 +– +2 \(66\.7 %\)/);
    expect(stdout).toMatch(/after-greedy +2 +0\.500 +0\.500 +1\.00 +0/);
    expect(stdout).toMatch(/all +8 +0\.250 +0\.500 +0\.58 +2 \(25\.0 %\)/);
    expect(stdout).toContain("They disagree on 2 of 8 attempts.");
    expect(stdout).toContain("recorded 0 → cover-match 1  trajectories/step-000002.jsonl:1");
    expect(stdout).toContain(
      "question  What is the capital of France?\n    expected  Paris\n    answer    the city of Paris",
    );
    expect(stdout).toMatch(/3 attempts \(37\.5 %\) with signs of hacking/);
    expect(stdout).toMatch(/many-options +1 +12\.5 % +1\.000 +0\.429/);
    expect(stdout).toMatch(/example-answer +1 /);
    expect(stdout).toMatch(/answer-in-question +1 /);
    // The whole attempt.
    expect(stdout).toContain(
      "<answer> the city of Paris </answer>\n[answered · answer: the city of Paris · expected: Paris",
    );
  });

  it("--json ends with the same as an object, without whole attempts", async () => {
    const ended = await here("--reward", "cover-match=2", "--against", "exact-match", "--json", "--show", "1");
    const report = lastJson<RescoreReport & { reward: string; against: string }>(ended);
    expect(report).toMatchObject({
      run,
      reward: "cover-match=2",
      against: "exact-match",
      skipped: 0,
      judgeFailures: 0,
    });
    expect(report.all).toMatchObject({ n: 8, meanBefore: 0.25, meanAfter: 1, disagreements: 4 });
    expect(report.parts.map(({ name }) => name)).toEqual(["step 1", "step 2", "after-greedy"]);
    expect(report.disagreements).toHaveLength(1);
    expect(report.disagreements[0]).toEqual({
      place: "trajectories/step-000002.jsonl:1",
      step: 2,
      question: question.question,
      expected: ["Paris"],
      answer: "the city of Paris",
      before: 0,
      after: 2,
    });
    const options = report.suspicions.find(({ name }) => name === "many-options");
    expect(options).toMatchObject({ attempts: 1, meanReward: 2, examples: [{ evidence: "4 candidates" }] });
    expect(ended.stdout.trim().split("\n")).toHaveLength(1);
  });

  it("--limit takes the first attempts only", async () => {
    const report = lastJson<RescoreReport>(await here("--reward", "f1", "--limit", "4", "--json"));
    expect(report.all.n).toBe(4);
    expect(report.parts.map(({ n }) => n)).toEqual([3, 1]);
  });

  it("takes settings: the released scorer sees the prompt's example where nothing was answered", async () => {
    const asIs = lastJson<RescoreReport>(await here("--reward", "exact-match", "--json"));
    expect(asIs.all.disagreements).toBe(0);
    const answers = ["--reward", "exact-match", "--set", "faithful.textScoring=true", "--json"];
    const wanted = { ...question, answers: ["Beijing"] };
    const prompt = "inside <answer> and </answer>. For example, <answer> Beijing </answer>.";
    const trajectory = attemptOf(["hm"], null, { prompt });
    const other = join(folder, "leaking");
    mkdirSync(join(other, "trajectories"), { recursive: true });
    writeFileSync(join(other, "config.json"), JSON.stringify({ rollout: { protocol: "search-r1" } }));
    writeFileSync(
      join(other, "trajectories", "step-000001.jsonl"),
      traceToLine({ question: wanted, reward: 0, trajectory }),
    );
    const leaking = lastJson<RescoreReport>(await sleuthHere(["rescore", other, ...answers]));
    expect(leaking.all).toMatchObject({ meanBefore: 0, meanAfter: 1, disagreements: 1 });
  });

  it("asks a judge, whose key is nowhere to be found afterwards", async () => {
    const server = createServer((request, response) => {
      let text = "";
      request.on("data", (piece) => (text += String(piece)));
      request.on("end", () => {
        if (request.headers.authorization !== "Bearer lab-key") return void response.writeHead(401).end("who? lab-key");
        const content = text.includes("the city of Paris") ? "yes" : "no";
        response.end(JSON.stringify({ choices: [{ message: { content } }] }));
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const cache = join(folder, "verdicts");
    const sets = [`judgeUrl=${url}`, "judgeModel=m", `judgeCache=${cache}`].flatMap((set) => [
      "--set",
      `reward.${set}`,
    ]);
    try {
      const refused = await here("--reward", "llm-judge", ...sets);
      expect(refused.status).toBe(1);
      expect(refused.stderr).toMatch(/answered 401: "who\?.*SLEUTH_JUDGE_API_KEY/s);
      process.env.SLEUTH_JUDGE_API_KEY = "lab-key\n";
      const ended = await here("--reward", "llm-judge", "--against", "exact-match", "--json", ...sets);
      expect(lastJson<RescoreReport>(ended).all).toMatchObject({ n: 8, meanAfter: 3 / 8, disagreements: 1 });
      server.close();
      server.closeAllConnections();
      const again = await here("--reward", "llm-judge", "--against", "exact-match", "--json", ...sets);
      expect(lastJson<RescoreReport>(again).all).toMatchObject({ disagreements: 1 });
      expect(ended.stdout + ended.stderr).not.toContain("lab-key");
      for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((each) =>
        each.includes(".json"),
      ))
        expect([name, readFileSync(join(folder, name), "utf8").includes("lab-key")]).toEqual([name, false]);
    } finally {
      delete process.env.SLEUTH_JUDGE_API_KEY;
      server.close();
    }
  });

  it.each<[string[], RegExp]>([
    [["--reward", "cover-mach"], /Did you mean cover-match\?/],
    [["--reward", "f1=x"], /--reward f1=x cannot be read at "f1=x"/],
    [["--reward", "f1,,f1"], /cannot be read at ""/],
    [["--reward", "f1", "--against", "="], /--against = cannot be read/],
    [["--reward", "llm-judge"], /reward\.judgeUrl is empty/],
    [["--reward", "f1", "--set", "rollout.protocol=latin"], /rollout\.protocol=latin cannot be used/],
    [["--reward", "f1", "--set", "reward.nonsense=1"], /reward\.nonsense .*not a known key/],
  ])("%j is told what is wrong", async (args, message) => {
    const { status, stderr } = await here(...args);
    expect(stderr).toMatch(message);
    expect(status).toBe(1);
  });

  it("tells folders without attempts, damaged lines and missing rewards", async () => {
    const at = (other: string): ReturnType<typeof sleuthHere> => sleuthHere(["rescore", other, "--reward", "f1"]);
    expect((await at(join(folder, "nowhere"))).stderr).toContain("does not exist");
    const broken = join(folder, "broken");
    mkdirSync(join(broken, "trajectories"), { recursive: true });
    expect((await at(broken)).stderr).toContain("holds no recorded attempts");
    const file = join(broken, "trajectories", "step-000001.jsonl");
    writeFileSync(file, line(1, "Paris", undefined));
    expect((await at(broken)).stderr).toContain("--set rollout.protocol=search-r1");
    writeFileSync(join(broken, "config.json"), JSON.stringify({ rollout: { protocol: "search-r1" } }));
    expect((await at(broken)).stderr).toContain("--against exact-match");
    writeFileSync(file, `${line(1, "Paris", 1)}{"half`);
    expect((await at(broken)).stderr).toMatch(/step-000001\.jsonl:2: not a JSON line/);
    writeFileSync(join(broken, "config.json"), "{");
    expect((await at(broken)).stderr).toContain("config.json is not valid JSON");
    expect((await sleuthHere(["rescore", run])).status).toBe(2);
  });
});
