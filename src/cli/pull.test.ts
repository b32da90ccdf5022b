/** @file `sleuth pull`, and models of the Hub wherever a verb takes a model, against a server that speaks the Hub's protocol. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import {
  adapterConfig,
  commit,
  HubServer,
  laterCommit,
  modelConfig,
  modelFiles,
  noise,
} from "../hub/hub-server.test-support.js";
import { makeTinyModel } from "../policy/local/tiny-model.test-support.js";
import { lastJson, sleuth, sleuthHere } from "../../test/run-sleuth.js";

const token = "hf_SECRETSECRET";
let hub: HubServer;
let home: string;
const file = (name: string): string => path.join(home, name);

beforeAll(async () => {
  hub = await HubServer.start();
  home = mkdtempSync(path.join(tmpdir(), "sleuth-pull-"));
  hub.repositories["org/tiny"] = { revisions: { main: commit }, files: modelFiles(), token };
  const environment = { HF_HOME: home, HF_ENDPOINT: hub.endpoint, HF_TOKEN: token };
  for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
});

afterAll(async () => {
  vi.unstubAllEnvs();
  await hub.close();
  rmSync(home, { recursive: true, force: true });
});

interface Answer {
  folder: string;
  files: { path: string }[];
}

describe("sleuth pull", () => {
  it("shows what was fetched, then that all was there", async () => {
    const first = await sleuthHere(["pull", "org/tiny"]);
    expect(first.status, first.stderr).toBe(0);
    expect(first.stdout).toMatch(/org\/tiny commit c0ffee000000\n/);
    expect(first.stdout).toMatch(/^ {2}model\.safetensors +293\.0 kB +Hub$/m);
    expect(first.stdout).toMatch(/Fetched 312\.9 kB in .* → .*snapshots/);
    expect(first.stdout).toContain("sleuth train --model hf:org/tiny …");
    expect(first.stderr).toMatch(/Fetching org\/tiny: .*312\.9 kB/);
    const second = await sleuthHere(["pull", "hf:org/tiny", "--json"]);
    expect(lastJson(second)).toEqual({
      model: `hf:org/tiny@${commit}`,
      repository: "org/tiny",
      commit,
      folder: path.join(home, "hub", "models--org--tiny", "snapshots", commit),
      files: expect.any(Array),
      bytes: 320_433,
      downloadedBytes: 0,
      seconds: expect.any(Number),
    });
    expect(lastJson<Answer>(second).files).toHaveLength(7);
    expect(second.stderr).toContain("Everything was in the cache");
    expect(`${first.stdout}${first.stderr}${second.stdout}${second.stderr}`).not.toContain("SECRET");
  });

  it("fetches the base of an adapter with it", async () => {
    const files = {
      "adapter_config.json": adapterConfig({ revision: commit }),
      "adapter_model.safetensors": noise(2000, 9),
    };
    hub.repositories["org/adapter"] = { revisions: { main: laterCommit }, files };
    const pulled = await sleuthHere(["pull", "org/adapter", "--json"]);
    expect(lastJson(pulled)).toMatchObject({ commit: laterCommit, base: { repository: "org/tiny", commit } });
    expect(pulled.stderr).toContain("adapter_model.safetensors");
  });

  it("ends with 1 for a model that Sleuth cannot open, and for an adapter of one", async () => {
    const repository = (change: Record<string, unknown>) => ({
      revisions: { main: commit },
      files: { ...modelFiles(), "config.json": modelConfig(change) },
    });
    hub.repositories["org/gpt"] = repository({ model_type: "gpt2" });
    const other = await sleuthHere(["pull", "org/gpt", "--json"]);
    expect(other.status).toBe(1);
    expect(lastJson(other)).toMatchObject({
      error: { kind: "user", message: expect.stringMatching(/org\/gpt, field "model_type" is "gpt2", but only llama/) },
    });
    hub.repositories["org/tiny-bnb-4bit"] = repository({ quantization_config: { quant_method: "bitsandbytes" } });
    hub.repositories["org/packed"] = {
      revisions: { main: commit },
      files: {
        "adapter_config.json": adapterConfig({ base_model_name_or_path: "org/tiny-bnb-4bit" }),
        "adapter_model.safetensors": noise(2000, 31),
      },
    };
    hub.takeAsked();
    const packed = await sleuthHere(["pull", "org/packed"]);
    expect(packed.status).toBe(1);
    expect(packed.stderr).toMatch(
      /hf:org\/packed was trained over hf:org\/tiny-bnb-4bit, whose weights are quantized.*export hf:org\/packed --base MODEL/,
    );
    expect(hub.takeAsked().some(({ url }) => url.includes("tiny-bnb-4bit") && url.includes("model.safetensors"))).toBe(
      false,
    );
    delete hub.repositories["org/tiny-bnb-4bit"];
    const gone = await sleuthHere(["pull", "org/packed"]);
    expect(gone.status).toBe(1);
    expect(gone.stderr).toMatch(/org\/tiny-bnb-4bit.*is the base of hf:org\/packed\..* --base MODEL/);
  });

  it("ends with 1 and advice", async () => {
    const nothing = await sleuthHere(["pull", "org/nothing", "--json"]);
    expect(nothing.status).toBe(1);
    expect(lastJson(nothing)).toMatchObject({ error: { kind: "user", message: expect.stringContaining("HF_TOKEN") } });
    const misnamed = await sleuthHere(["pull", "gpt2"]);
    expect(misnamed).toMatchObject({ status: 1, stderr: expect.stringContaining("hf:ORG/NAME") });
  });

  it("fetches the model of a preset, where SLEUTH_SMOLLM2 names one of the Hub", async () => {
    vi.stubEnv("SLEUTH_SMOLLM2", "hf:org/nothing");
    const { status, stderr } = await sleuth(["eval", "--preset", "documents"]);
    expect(status).toBe(1);
    expect(stderr).toContain("org/nothing");
    expect(stderr).not.toContain("not there yet");
  });

  it("leaves on Ctrl-C what it has, for the next time", async () => {
    const files = { ...modelFiles(), "model.safetensors": noise(200_000, 21) };
    hub.repositories["org/stopped"] = { revisions: { main: commit }, files };
    const blobs = path.join(home, "hub", "models--org--stopped", "blobs");
    const kept = (): number[] =>
      readdirSync(blobs)
        .filter((name) => name.endsWith(".incomplete"))
        .map((name) => statSync(path.join(blobs, name)).size);
    hub.fault = ({ host, range }) => (host === "cdn" && range === undefined ? { silentAfter: 5_000 } : undefined);
    const ended = await sleuth(["pull", "org/stopped"], {
      onStart: (child) => {
        const poll = setInterval(() => {
          try {
            if (kept()[0] !== 5_000) return;
          } catch {
            return;
          }
          clearInterval(poll);
          child.kill("SIGINT");
        }, 20);
        child.once("exit", () => clearInterval(poll));
      },
    });
    expect(ended.status, ended.stderr).toBe(130);
    expect(ended.stderr).toContain("goes on where it stops");
    expect(kept()).toEqual([5_000]);
    hub.takeAsked();
    hub.fault = () => undefined;
    const more = await sleuthHere(["pull", "org/stopped"]);
    expect(more.stdout).toMatch(/Hub, .* of it now/);
    expect(hub.takeAsked().some(({ range }) => range === "bytes=5000-")).toBe(true);
  });
});

describe("a model of the Hub", () => {
  it("trains, goes on with the same weights when its branch has moved, and is asked without the network", async () => {
    const model = await makeTinyModel(1, { maxPositions: 160 });
    const read = (name: string): [string, Buffer] => [name, readFileSync(path.join(model.folder, name))];
    const files = Object.fromEntries(readdirSync(model.folder).map(read));
    await model.remove();
    hub.repositories["org/real"] = { revisions: { main: commit }, files, token };
    const question = (index: number): string =>
      `${JSON.stringify({ id: `q${index}`, question: `When does ferry ${index} leave?`, answers: ["9:05"] })}\n`;
    writeFileSync(file("questions.jsonl"), Array.from({ length: 10 }, (_, index) => question(index)).join(""));
    writeFileSync(file("passages.jsonl"), '{"id":"1","contents":"\\"Ferry\\"\\nIt leaves at 9:05."}\n');
    const settings = [
      "model.adapt=lora",
      "model.loraRank=2",
      "rollout.maxTokens=120",
      "rollout.maxTokensPerTurn=8",
      "algorithm.groupSize=2",
      "train.questionsPerStep=1",
      "train.evalSize=1",
      "train.testSize=1",
      "train.evalModes=greedy",
      "train.keepBest=last",
      "run.threads=1",
    ].flatMap((set) => ["--set", set]);
    const run = file("run");
    const data = ["--questions", file("questions.jsonl"), "--corpus", file("passages.jsonl")];
    const train = ["train", "--model", "hf:org/real", ...data, "--run", run, "--steps", "1", ...settings];
    const trained = await sleuthHere([...train, "--json"]);
    expect(trained.status, trained.stderr).toBe(0);
    expect(trained.stderr).toContain("Fetching org/real");
    const pinned = `hf:org/real@${commit}`;
    const config = JSON.parse(readFileSync(path.join(run, "config.json"), "utf8")) as { model: { folder: string } };
    expect(config.model.folder).toBe(pinned);
    const adapter = readFileSync(path.join(run, "best", "adapter_config.json"), "utf8");
    expect(JSON.parse(adapter)).toMatchObject({ base_model_name_or_path: "org/real", revision: commit });

    const moved = { ...files, "model.safetensors": noise(500, 3) };
    hub.repositories["org/real"] = { revisions: { main: laterCommit, old: commit }, files: moved, token };
    hub.takeAsked();
    const more = await sleuthHere(["train", "--run", run, "--resume", "--steps", "2", "--json"]);
    expect(lastJson(more)).toMatchObject({ status: "finished", steps: 2 });
    expect(hub.takeAsked()).toEqual([]);

    vi.stubEnv("HF_HUB_OFFLINE", "1");
    const asked = await sleuthHere(["ask", "When?", "--run", run, "--json"]);
    expect(asked.status, asked.stderr).toBe(0);
    const evaluated = await sleuthHere(["eval", "--model", pinned, ...data, ...settings, "--limit", "1", "--json"]);
    expect(lastJson(evaluated)).toMatchObject({ model: pinned, n: 1 });
    expect(hub.takeAsked()).toEqual([]);
    vi.stubEnv("HF_HUB_OFFLINE", "");

    const written = readdirSync(run, { recursive: true, encoding: "utf8" })
      .map((name) => path.join(run, name))
      .filter((name) => statSync(name).isFile());
    expect(written.length).toBeGreaterThan(10);
    for (const name of written) expect(readFileSync(name).includes(token), name).toBe(false);
  });
});
