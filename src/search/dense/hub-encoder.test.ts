import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";
import { commit, HubServer } from "../../hub/hub-server.test-support.js";
import { UserError } from "../../errors.js";
import { OnnxEncoder } from "./onnx-encoder.js";
import { resolveEncoder } from "../../engine/io/hub/pull.js";
import type { PullOptions } from "../../hub/fetch.js";
import { writeBagModel, writeTinyBert } from "./tiny-models.test-support.js";

const root = mkdtempSync(path.join(tmpdir(), "sleuth-hub-encoder-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
/** With its weights beside the graph, as large exports have them. */
const bag = writeBagModel(path.join(root, "bag"), { isExternal: true });
writeBagModel(bag, { variant: "fp16", seed: 5 });
const bert = await writeTinyBert(path.join(root, "bert"));

let hub: HubServer;
let home: string;
let options: PullOptions;
beforeEach(async () => {
  hub = await HubServer.start();
  home = mkdtempSync(path.join(root, "home-"));
  options = { environment: { HF_HOME: home, HF_ENDPOINT: `${hub.endpoint}/` }, retry: { firstDelayMs: 1 } };
});
afterEach(() => hub.close());

function filesOf(folder: string): Record<string, Buffer> {
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) =>
    statSync(path.join(folder, name)).isFile(),
  );
  return Object.fromEntries(
    names.map((name) => [name.split(path.sep).join("/"), readFileSync(path.join(folder, name))]),
  );
}
const serve = (name: string, files: Record<string, Buffer>): void => {
  hub.repositories[name] = { revisions: { main: commit }, files };
};
const pooling = { "1_Pooling/config.json": Buffer.from('{"pooling_mode_mean_tokens": true}') };

describe("encoders of the Hub", () => {
  it("fetches the ONNX file, its data and what says how texts are read, and works from there offline", async () => {
    serve("intfloat/e5-bag", {
      ...filesOf(bag),
      ...pooling,
      "pytorch_model.bin": Buffer.alloc(100),
      "README.md": Buffer.from("e5"),
    });
    const encoder = await OnnxEncoder.open({ location: "hf:intfloat/e5-bag" }, { threads: 1, hub: options });
    expect(encoder.name).toMatch(/mean pooling, 64 tokens, query "query: ", passage "passage: "/);
    expect(encoder.source).toMatchObject({ location: "hf:intfloat/e5-bag", queryPrefix: "query: ", pooling: "mean" });
    await encoder.close();
    const snapshot = path.join(home, "hub", "models--intfloat--e5-bag", "snapshots", commit);
    expect(Object.keys(filesOf(snapshot)).sort()).toEqual([
      ...[
        "1_Pooling/config.json",
        "README.md",
        "config.json",
        "onnx/model.onnx",
        "onnx/model.onnx_data",
        "tokenizer.json",
      ],
    ]);
    hub.takeAsked();
    const offline = { ...options, environment: { ...options.environment, HF_HUB_OFFLINE: "1" } };
    expect(await resolveEncoder("hf:intfloat/e5-bag", "", offline)).toBe(snapshot);
    expect(hub.takeAsked()).toEqual([]);
  });

  it("fetches the variant that is asked for, and the weights of BERT where there is no ONNX file", async () => {
    serve("org/bag", filesOf(bag));
    const variant = await resolveEncoder("hf:org/bag", "fp16", options);
    expect(readdirSync(path.join(variant, "onnx"))).toEqual(["model_fp16.onnx"]);
    // The other one is fetched when it is wanted.
    const base = await resolveEncoder("hf:org/bag", "", options);
    expect(readdirSync(path.join(base, "onnx")).sort()).toEqual(["model.onnx", "model.onnx_data", "model_fp16.onnx"]);
    serve("org/bert", filesOf(bert));
    expect(readdirSync(await resolveEncoder("hf:org/bert", "", options)).sort()).toEqual([
      "config.json",
      "model.safetensors",
      "tokenizer.json",
    ]);
  });

  it("says what a repository lacks", async () => {
    serve("org/bert", filesOf(bert));
    const failure = resolveEncoder("hf:org/bert", "fp16", options);
    await expect(failure).rejects.toBeInstanceOf(UserError);
    await expect(failure).rejects.toThrow(/org\/bert has no onnx\/model_fp16.onnx/);
  });
});
