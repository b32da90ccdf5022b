/** @file A pipe, a socket or a device that is named as a file is refused in words, by every loader that a user gives a file to. */
import { execFileSync } from "node:child_process";
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadQuestions } from "../src/data/questions.js";
import { GgufFile } from "../src/engine/io/gguf-file.js";
import { SafetensorsFile } from "../src/engine/io/safetensors.js";
import { loadTokenizer } from "../src/engine/io/tokenizer.js";
import { UserError } from "../src/errors.js";
import { requireRegular } from "../src/files/regular.js";
import { loadCorpus } from "../src/search/documents/corpus.js";
import { findSources } from "../src/search/documents/find.js";
import { parseConfig } from "../src/train/config/config.js";
import { loadConfig } from "../src/train/config/file.js";
import { loadTranscripts } from "../src/train/sft/transcripts.js";

// Windows has no pipes among its files.
describe.skipIf(process.platform === "win32")("a pipe", () => {
  const root = mkdtempSync(path.join(tmpdir(), "sleuth-pipes-"));
  const model = path.join(root, "model");
  const pipes = ["pipe.jsonl", "pipe.gguf", "pipe.safetensors", "pipe.pdf", "pipe.json", "model/config.json"];
  const writers: number[] = [];
  beforeAll(() => {
    mkdirSync(model);
    for (const name of pipes) {
      execFileSync("mkfifo", [path.join(root, name)]);
      // Held open for writing too: should a loader read it, it ends with the test.
      writers.push(openSync(path.join(root, name), "r+"));
    }
  });
  afterAll(() => {
    writers.forEach(closeSync);
    rmSync(root, { recursive: true, force: true });
  });
  const file = (name: string): string => path.join(root, name);

  it.each<[what: string, load: () => Promise<unknown>]>([
    ["questions", () => loadQuestions(file("pipe.jsonl"))],
    ["a corpus", () => loadCorpus([file("pipe.jsonl")])],
    ["a corpus to index", () => findSources([file("pipe.jsonl")])],
    ["a document", () => findSources([file("pipe.pdf")])],
    [
      "transcripts",
      () =>
        loadTranscripts(parseConfig({ rollout: { protocol: "search-r1" }, sft: { transcripts: file("pipe.jsonl") } })),
    ],
    ["a GGUF model", () => GgufFile.open(file("pipe.gguf"))],
    ["weights", () => SafetensorsFile.open(file("pipe.safetensors"))],
    ["a model's folder", () => loadTokenizer(model)],
    ["a configuration", () => loadConfig(file("pipe.json"))],
    ["a device", () => requireRegular("/dev/zero")],
  ])("as %s", async (_what, load) => {
    const failure: unknown = await load().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(UserError);
    expect((failure as Error).message).toMatch(/ is a (?:pipe|device), and reading it could wait for ever\./);
  });

  it("a socket", async () => {
    const server = createServer().listen(file("socket.jsonl"));
    await new Promise((resolve) => server.once("listening", resolve));
    await expect(loadQuestions(file("socket.jsonl"))).rejects.toThrow(/ is a socket, /);
    server.close();
  });
});
