/** @file The verbs before a model behind a server: it takes no model of this machine, and says what the server does not do. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lastJson, sleuthHere } from "../../test/run-sleuth.js";
import { chatReply, serving, type Asked, type TestServer } from "../policy/served/server.test-support.js";
import type { ChatMessage } from "../types.js";

const folder = mkdtempSync(join(tmpdir(), "sleuth-served-verbs-"));
const at = (name: string): string => join(folder, name);
let server: TestServer;

/** Searches first, then answers with the hour that it was shown, and goes on past its stop strings. */
function reply({ path, body }: Asked): object {
  if (path === "/v1/models") return { data: [{ id: "clerk" }] };
  const messages = body.messages as ChatMessage[];
  const hour = /leaves at (\S+)\./.exec(messages[messages.length - 1].content)?.[1];
  const text = hour === undefined ? "<search> ferry Hven " : `<answer> ${hour} </answer> and so on`;
  return chatReply(text, { usage: { prompt_tokens: 3, completion_tokens: 2 } });
}

beforeAll(async () => {
  server = await serving(reply);
  writeFileSync(
    at("q.jsonl"),
    `${JSON.stringify({ id: "1", question: "When does the ferry leave?", answers: ["9:05"] })}\n`,
  );
  writeFileSync(
    at("c.jsonl"),
    `${JSON.stringify({ id: "p", title: "Ferry", text: "The ferry to Hven leaves at 9:05." })}\n`,
  );
});
afterAll(() => {
  server.close();
  rmSync(folder, { recursive: true, force: true });
});
const data = (): string[] => ["--server", server.url, "--corpus", at("c.jsonl"), "--json"];

describe("a model behind a server", () => {
  it("is evaluated", async () => {
    const out = at("attempts.jsonl");
    const ended = await sleuthHere([
      "eval",
      ...data(),
      "--questions",
      at("q.jsonl"),
      "--modes",
      "greedy",
      "--out",
      out,
    ]);
    expect(ended.status, ended.stderr).toBe(0);
    expect(lastJson(ended)).toMatchObject({ model: "clerk", greedy: { exactMatch: { value: 1 } } });
    expect(ended.stderr).toMatch(/The server: 1 turn went on past a stop string and was cut there\./);
    const { trajectory } = JSON.parse(readFileSync(out, "utf8").split("\n")[0]) as { trajectory: object };
    expect(trajectory).toMatchObject({ textOnly: true, answer: "9:05" });
  });

  it("is asked, though there may be a run", async () => {
    const ended = await sleuthHere(["ask", "When does the ferry leave?", ...data(), "--server-model", "other"]);
    expect(ended.status, ended.stderr).toBe(0);
    expect(lastJson(ended)).toMatchObject({ answer: "9:05", model: "other" });
    expect(ended.stderr).toMatch(/The server lists clerk, and not other/);
  });

  it("is not asked by a name alone, and not trained", async () => {
    const nameless = await sleuthHere(["ask", "When?", "--model", "atlas-base", "--server-model", "m"]);
    expect(nameless.stderr).toMatch(/server\.model is set, but server\.url is empty/);
    const trains = await sleuthHere(["train", "--set", `server.url=${server.url}`, "--run", at("run")]);
    expect(trains.stderr).toMatch(/a model behind a server cannot be trained/);
    expect([nameless.status, trains.status]).toEqual([1, 1]);
  });
});
