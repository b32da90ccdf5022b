/** @file `sleuth serve model` as a process: ready, asked, ended. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { UserError } from "../errors.js";
import { lastJson, sleuth, sleuthHere } from "../../test/run-sleuth.js";
import { namedRuns } from "./serve-model.js";

describe("sleuth serve model", () => {
  it("answers with a model and its search under the run's name, and ends with 0 when it is told to", async () => {
    const cwd = await mkdtemp(path.join(tmpdir(), "sleuth-serve-model-"));
    try {
      await mkdir(path.join(cwd, "mine"));
      await writeFile(path.join(cwd, "mine", "config.json"), "{}");
      let reply: unknown;
      const line = ["serve", "model", "mine", "--model", "atlas-base", "--port", "0", "--json"];
      const ended = await sleuth(line, {
        cwd,
        onStart: (child) =>
          child.stderr?.on("data", (text: string) => {
            const url = /http:\S+\/v1/.exec(text)?.[0];
            if (url === undefined) return;
            void fetch(`${url}/chat/completions`, {
              ...{ method: "POST", headers: { "content-type": "application/json" } },
              body: JSON.stringify({
                model: "mine",
                messages: [{ role: "user", content: "What is the capital of Peru?" }],
              }),
            })
              .then(async (response) => (reply = await response.json()))
              .finally(() => child.kill("SIGTERM"));
          }),
      });
      expect(ended.status, ended.stderr).toBe(0);
      expect(lastJson(ended)).toMatchObject({ models: ["mine"] });
      expect(reply).toMatchObject({
        model: "mine",
        choices: [{ message: { role: "assistant", content: expect.any(String) as string }, finish_reason: "stop" }],
        usage: { completion_tokens: expect.any(Number) as number },
      });
    } finally {
      await rm(cwd, { recursive: true });
    }
  });

  it("a folder that is no run ends it with 1 and says why", async () => {
    const ended = await sleuthHere(["serve", "model", "no-such-run", "--port", "0"]);
    expect([ended.status, ended.stderr]).toEqual([1, expect.stringContaining("no-such-run is not a run folder")]);
  });
});

it("models are called as they are told, or as their folders", () => {
  expect([...namedRuns(["runs/mine/", "before=runs/warm", "C=a=b"])]).toEqual([
    ["mine", "runs/mine/"],
    ["before", "runs/warm"],
    ["C", "a=b"],
  ]);
  expect(() => namedRuns(["a/x", "b/x"])).toThrow(UserError);
  expect(() => namedRuns(["a/x", "b/x"])).toThrow("one=a/x two=b/x");
});
