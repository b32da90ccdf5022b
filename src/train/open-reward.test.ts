/** @file Rewards in runs: stages and resuming, the released scorers, a judge that works, fails and is not there. */
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { UserError } from "../errors.js";
import { JudgeError } from "../rewards/judge/judge.js";
import { attemptOf } from "../rewards/attempts.test-support.js";
import type { Reward } from "../rewards/reward.js";
import { parseConfig, type ConfigInput } from "./config/config.js";
import type { TrainEvent } from "./run.js";
import { readMetrics } from "./metrics-file.js";
import { isMeasuredTime } from "./metrics.js";
import { openReward } from "./open-reward.js";
import { openTask } from "./open-task.js";
import { tinyConfig, tinyParts, tinyQuestions } from "./tiny-run.test-support.js";
import { train, type TrainOptions } from "./train.js";

let root: string;
let server: Server | undefined;
beforeEach(async () => void (root = await mkdtemp(path.join(tmpdir(), "sleuth-reward-"))));
afterEach(async () => {
  server?.closeAllConnections();
  server?.close();
  server = undefined;
  await rm(root, { recursive: true, force: true });
});

const question = { id: "q", question: "?", answers: ["a"] };

type RewardKeys = NonNullable<ConfigInput["reward"]>;

function configWith(name: string, reward: RewardKeys, more: ConfigInput["train"] = {}): ConfigInput {
  return { ...tinyConfig(path.join(root, name), { steps: 6, testSize: 0, evalSize: 2, ...more }), reward };
}

async function metricsOf(folder: string): Promise<object[]> {
  const lines = await readMetrics(path.join(root, folder));
  return lines.map((line) => Object.fromEntries(Object.entries(line).filter(([name]) => !isMeasuredTime(name))));
}

describe("stages", () => {
  const reward: RewardKeys = {
    weights: { "exact-match": 1 },
    stages: [
      { from: 2, weights: { "exact-match": 1, "no-search": 0.5 } },
      { from: 4, weights: { "cover-match": 2 } },
    ],
  };

  it("change the reward at their steps, and a run that is stopped anywhere ends like one that was not", async () => {
    const straight = tinyParts();
    await train(configWith("straight", reward), straight);
    for (let starts = 1, status = ""; status !== "finished"; starts++) {
      const stop = new AbortController();
      let events = 0;
      const onEvent = (): void => (++events === 17 * starts ? stop.abort(new Error("stop")) : undefined);
      const parts = tinyParts();
      ({ status } = await train(configWith("stopped", reward), { ...parts, signal: stop.signal, onEvent }));
      if (status === "finished") {
        expect(starts).toBeGreaterThan(2);
        expect(Buffer.from(parts.policy.table().buffer).equals(Buffer.from(straight.policy.table().buffer))).toBe(true);
      }
    }
    expect(await metricsOf("stopped")).toEqual(await metricsOf("straight"));
    // The stages are felt: the same run without them learns something else.
    const plain = tinyParts();
    await train(configWith("plain", { weights: { "exact-match": 1 } }), plain);
    expect(Buffer.from(plain.policy.table().buffer).equals(Buffer.from(straight.policy.table().buffer))).toBe(false);
  });

  it("are told the step that is scored; evaluations have none", async () => {
    const steps = new Set<number | undefined>();
    const asked: Reward = (_question, { answer }, moment) => {
      steps.add(moment?.step);
      return Promise.resolve(answer === "a" ? 1 : 0);
    };
    await train(configWith("told", {}, { steps: 3 }), { ...tinyParts(), reward: asked });
    expect([...steps].sort()).toEqual([0, 1, 2, undefined]);
  });

  it("a run cannot be continued with others", async () => {
    await train(configWith("run", reward, { steps: 2 }), tinyParts());
    const other = configWith("run", { ...reward, stages: [{ from: 3, weights: { f1: 1 } }] });
    await expect(train(other, tinyParts())).rejects.toThrow(/reward\.stages/);
  });

  it.each<[RewardKeys, RegExp]>([
    [
      {
        stages: [
          { from: 3, weights: { f1: 1 } },
          { from: 2, weights: { f1: 1 } },
        ],
      },
      /stages are out of order/,
    ],
    [{ stages: [{ from: 3, weights: { f2: 1 } }] }, /Did you mean f1\?/],
    [{ stages: [{ from: 3, weights: { f1: 0 } }] }, /stage from step 3 .* all 0/],
    [{ weights: { f1: 0 }, stages: [{ from: 3, weights: { f1: 1 } }] }, /reward\.weights are all 0/],
    [{ weights: { "llm-judge": 1 }, judgeUrl: "http://127.0.0.1:1" }, /reward\.judgeModel is empty/],
    [{ stages: [{ from: 9, weights: { "llm-judge": 1 } }] }, /reward\.judgeUrl is empty/],
  ])("%j is refused before anything is made", async (wrong, message) => {
    const failure: unknown = await train(configWith("wrong", wrong), tinyParts()).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(UserError);
    expect((failure as Error).message).toMatch(message);
    expect(existsSync(path.join(root, "wrong"))).toBe(false);
  });
});

describe("faithful.textScoring", () => {
  it("trains on the released scorer, and reports what the policy wrote, compared as SQuAD does", async () => {
    const config = parseConfig({ rollout: { protocol: "search-r1" }, faithful: { textScoring: true } });
    const task = await openTask(config, { search: tinyParts().search }, { questions: tinyQuestions });
    const prompt = "inside <answer> and </answer>. For example, <answer> a </answer>.";
    const silent = attemptOf(["hm"], null, { prompt });
    expect(task.value.reward(question, silent)).toBe(1);
    expect(task.value.exactMatch(question, silent)).toBe(0);
    const numbers = { ...question, answers: ["3.5"] };
    expect(task.value.exactMatch(numbers, attemptOf(["hm"], "35"))).toBe(1);
    await task.close();
    const ours = await openTask(
      parseConfig({ rollout: { protocol: "search-r1" } }),
      { search: tinyParts().search },
      { questions: tinyQuestions },
    );
    expect(ours.value.exactMatch(numbers, attemptOf(["hm"], "35"))).toBe(0);
    await ours.close();
  });

  it("off, both score what the policy wrote", async () => {
    const { value } = await openReward(parseConfig({ rollout: { protocol: "search-r1" } }));
    expect(value.reward(question, attemptOf(["hm"], null, { prompt: "<answer>x</answer><answer>a</answer>" }))).toBe(0);
  });
});

describe("keys of rewards", () => {
  it("reach them", async () => {
    const reward = { weights: { length: 1, overlong: 10 }, lengthBudget: 5, lengthPrice: 0.01, overlongBuffer: 10 };
    const config = parseConfig({ rollout: { protocol: "atlas", maxTokens: 64 }, reward });
    const { value } = await openReward(config);
    // 60 tokens of the policy and one of the prompt: 0.3 at most for the length, and 7 of 10 into the buffer.
    expect(value.reward(question, attemptOf(["x"], "a", { tokens: [60] }))).toBeCloseTo(-0.3 - 7, 12);
    expect(value.reward(question, attemptOf(["x"], "a", { tokens: [15] }))).toBeCloseTo(-0.1, 12);
  });
});

describe("a judge in a run", () => {
  async function judgedBy(listener: RequestListener): Promise<RewardKeys> {
    server = createServer(listener);
    await new Promise<void>((resolve) => server?.listen(0, "127.0.0.1", resolve));
    const judgeUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    return { weights: { "llm-judge": 1 }, judgeUrl, judgeModel: "m", judgeCache: path.join(root, "verdicts") };
  }
  const verdict = JSON.stringify({ choices: [{ message: { content: "no" } }] });
  const watched = (): TrainOptions & { events: TrainEvent[] } => {
    const events: TrainEvent[] = [];
    return { ...tinyParts(), events, onEvent: (event) => events.push(event) };
  };

  it("scores it, and is asked no answer twice", async () => {
    let requests = 0;
    const reward = await judgedBy((_request, response) => void (requests++, response.end(verdict)));
    await train(configWith("run", reward, { steps: 3 }), tinyParts());
    const verdicts = await readdir(path.join(root, "verdicts"), { recursive: true });
    expect(requests).toBe(verdicts.filter((name) => name.endsWith(".json")).length);
    expect((await readMetrics(path.join(root, "run"))).slice(1).map((line) => line["reward/judgeFailed"])).toEqual([
      0, 0, 0,
    ]);
    const asked = requests;
    await train(configWith("again", reward, { steps: 3 }), tinyParts());
    expect(requests).toBe(asked);
    expect(await metricsOf("again")).toEqual(await metricsOf("run"));
    expect(await readFile(path.join(root, "run", "config.json"), "utf8")).not.toMatch(/key/i);
  });

  it("that fails now and then is told, and exact match stands in for it", async () => {
    let requests = 0;
    const reward = await judgedBy(
      (_request, response) => void (++requests > 1 ? response.writeHead(400).end() : response.end(verdict)),
    );
    const options = watched();
    await train(configWith("run", { ...reward, judgeConcurrency: 1 }, { steps: 2 }), options);
    const warnings = options.events.flatMap((event) => (event.kind === "warning" ? [event.message] : []));
    expect(warnings.join("\n")).toMatch(
      /\d+ of 16 judgements of step 1 failed and were scored by exact match.*answered 400/,
    );
    expect(warnings.join("\n")).toMatch(/judgements before step 2 failed|judgements before step 1 failed/);
    expect((await readMetrics(path.join(root, "run")))[1]["reward/judgeFailed"]).toBeGreaterThan(0);
  });

  it("that is not there ends the run with advice", async () => {
    const reward = await judgedBy((_request, response) => void response.writeHead(404).end("no such model"));
    const failure: unknown = await train(configWith("run", reward), tinyParts()).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(JudgeError);
    expect((failure as Error).message).toMatch(/no such model.*reward\.judgeModel/);
  });

  it("may be reached another way when the run goes on", async () => {
    const reward = await judgedBy((_request, response) => void response.end(verdict));
    await train(configWith("run", reward, { steps: 1 }), tinyParts());
    const moved = { ...reward, judgeUrl: `${reward.judgeUrl}/v1`, judgePerMinute: 100_000 };
    expect((await train(configWith("run", moved, { steps: 2 }), tinyParts())).steps).toBe(2);
    const other = { ...reward, judgeModel: "other" };
    await expect(train(configWith("run", other, { steps: 3 }), tinyParts())).rejects.toThrow(/reward\.judgeModel/);
  });
});
