import { expect, it } from "vitest";
import { lastJson, sleuthHere } from "../../test/run-sleuth.js";
import { UserError } from "../errors.js";
import { classify } from "./failure.js";

const control = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e]/;
const hostile = "\u001b]0;owned\u0007\u001b[2J\u009b8m\u202e";

it("prints no control character of what an error quotes, stacks included", () => {
  for (const error of [new UserError(`no ${hostile}`), new TypeError(hostile), `thrown ${hostile}`]) {
    expect(classify(error)?.message).not.toMatch(control);
    expect(classify(error)?.message).toContain("\ufffd");
  }
  expect(classify(new UserError("x".repeat(1e6)))?.message.length).toBeLessThan(4100);
});

it("neither the messages of verbs nor those about wrong options reach the terminal as they are", async () => {
  for (const args of [
    ["eval", "--run", hostile],
    ["eval", `--${hostile}`],
    ["sft", "--transcripts", "atlas", "--min-reward", hostile],
  ]) {
    const ended = await sleuthHere([...args, "--json"]);
    expect(ended.status).not.toBe(0);
    expect(ended.stderr).not.toMatch(control);
    expect(ended.stdout).not.toMatch(control);
    expect(lastJson<{ error: { message: string } }>(ended).error.message).not.toMatch(control);
  }
});
