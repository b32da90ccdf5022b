import { expect, it } from "vitest";
import { recordOf } from "../eval/folder.test-support.js";
import { applySets, parseConfig } from "../train/config/config.js";
import { EvaluationProgress } from "./eval-progress.js";
import { Terminal } from "./terminal/terminal.js";

/** What is shown of 1,000 attempts, of which 24 are made, one in two right, each taking so many milliseconds. */
function shownOf(msEach: number): string {
  let now = 0;
  let text = "";
  const sink = { write: (piece: string) => (text += piece) };
  const terminal = new Terminal({ json: true, stdout: sink, stderr: sink, environment: {}, logMs: 0, now: () => now });
  const progress = new EvaluationProgress(terminal, () => now);
  progress.addEarlier([recordOf({ id: "e", question: "?", answers: ["yes"] }, "yes")]);
  for (let done = 2; done <= 26; done++) {
    progress.update("greedy", done, 1001);
    now += msEach;
    const record = recordOf({ id: String(done), question: "?", answers: ["yes"] }, done % 2 === 0 ? "yes" : "no");
    record.trajectory.segments.push({ role: "policy", tokens_T: [1, 2, 3, 4, 5] });
    progress.add(record, done, 1001);
  }
  progress.stop();
  return text;
}

it("tells before the start what the attempts take at most", () => {
  const announced = (...changes: string[]): string => {
    let text = "";
    const sink = { write: (piece: string) => (text += piece) };
    const terminal = new Terminal({ json: true, stdout: sink, stderr: sink, environment: {}, logMs: 0 });
    new EvaluationProgress(terminal).announce(
      1000,
      parseConfig(applySets({}, ["rollout.maxSearches=2", "rollout.maxTokensPerTurn=80", ...changes])),
    );
    return text;
  };
  expect(announced()).toContain("1,000 attempts of at most 3 turns of 80 tokens: at most 240,000 are written.");
  expect(announced("server.url=http://127.0.0.1:1/v1", "server.outputPrice=5")).toContain(
    "at most 240,000 are written (US$ 1.20, and the prompts beside them).",
  );
});

it("shows the score so far, and tells once what the others take where that is long", () => {
  const text = shownOf(1000);
  expect(text).toContain("Greedy: 3 %, 26/1,001 attempts, 1.0/s, 15 m 36 s left, EM 0.520 so far");
  expect(text.match(/After 24 attempts: the other 976 take about 16 m 16 s and 4,880 tokens/g)).toHaveLength(1);
  expect(shownOf(10)).not.toContain("After");
});
