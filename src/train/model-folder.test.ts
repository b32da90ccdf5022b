import { cp, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { makeTinyModel } from "../policy/local/tiny-model.test-support.js";
import { byteTokenizer } from "../policy/testing.js";
import { configDifferences, parseConfig, type ConfigInput } from "./config/config.js";
import { locateModel, pinConfig, withProtocol } from "./model-folder.js";
import { openPolicy } from "./open-policy.js";

const model = await makeTinyModel();
afterAll(() => model.remove());

/** The same model with a chat template. */
async function instructModel(): Promise<string> {
  const folder = path.join(path.dirname(model.folder), "instruct");
  await cp(model.folder, folder, { recursive: true });
  const file = path.join(folder, "tokenizer_config.json");
  const settings = JSON.parse(await readFile(file, "utf8")) as object;
  await writeFile(file, JSON.stringify({ ...settings, chat_template: "{{ messages[0].content }}" }));
  return folder;
}

describe("what a configuration means for its model", () => {
  const protocolOf = async (folder: string, protocol?: "atlas"): Promise<string> => {
    const config = parseConfig({ model: { folder }, rollout: protocol === undefined ? {} : { protocol } });
    const pinned = await pinConfig(config);
    expect(configDifferences(config, pinned)).toEqual(protocol === undefined ? ["rollout.protocol"] : []);
    return pinned.rollout.protocol;
  };

  it("chooses the protocol where none is named: Search-R1's for all but the models that were raised on atlas", async () => {
    expect(await protocolOf("atlas-base")).toBe("atlas");
    expect(await protocolOf(model.folder)).toBe("atlas");
    const instruct = await instructModel();
    expect(await protocolOf(instruct)).toBe("search-r1");
    expect(await protocolOf(instruct, "atlas")).toBe("atlas");
  });

  it("does so for a policy that is given", () => {
    expect(withProtocol(parseConfig({}), byteTokenizer()).rollout.protocol).toBe("atlas");
    const other = { ...byteTokenizer(), specialTokens: new Map<string, number>() };
    expect(withProtocol(parseConfig({}), other).rollout.protocol).toBe("search-r1");
  });

  it.each([
    [{ search: { engine: "none" } }, "r1"],
    [{ rollout: { maxSearches: 0 } }, "r1"],
    [{ rollout: { maxSearches: 0, context: "question" } }, "r1"],
    [{ rollout: { maxSearches: 1, context: "question" } }, "search-r1"],
    [{ search: { engine: "empty" } }, "search-r1"],
    [{ search: { engine: "none" }, rollout: { protocol: "search-r1" } }, "search-r1"],
  ] as const)("tells a model to answer without search where it cannot search: %j", (settings, protocol) => {
    const other = { ...byteTokenizer(), specialTokens: new Map<string, number>() };
    expect(withProtocol(parseConfig(settings), other).rollout.protocol).toBe(protocol);
    const raised = withProtocol(parseConfig(settings), byteTokenizer()).rollout.protocol;
    expect(raised).toBe("rollout" in settings && "protocol" in settings.rollout ? protocol : "atlas");
  });
});

it("says that there is no such model, and how those of the Hub are named", async () => {
  const missing = path.join(model.folder, "nowhere.gguf");
  await expect(locateModel(missing)).rejects.toThrow(`There is no model ${missing}.`);
  await expect(locateModel("Some-Org/model-1.5B")).rejects.toThrow("is named hf:Some-Org/model-1.5B");
  await expect(locateModel("runs/warm/best")).rejects.not.toThrow("hf:runs");
});

it("the seed of a run draws its adapter", async () => {
  const drawn = async (seed: number): Promise<Buffer> => {
    const keys: ConfigInput = { model: { folder: model.folder, adapt: "lora" }, train: { seed }, run: { threads: 1 } };
    const { value: policy, close } = await openPolicy(parseConfig(keys));
    const saved = path.join(path.dirname(model.folder), `seed-${seed}`);
    await policy.save(saved, { optimizer: false });
    await close();
    return readFile(path.join(saved, "adapter_model.safetensors"));
  };
  const first = await drawn(0);
  expect((await drawn(0)).equals(first)).toBe(true);
  expect((await drawn(1)).equals(first)).toBe(false);
});

it("layers to adapt may be named in any order, and twice: what is saved can be loaded", async () => {
  const keys: ConfigInput["model"] = { folder: model.folder, adapt: "lora", loraTargets: "v_proj, q_proj,v_proj" };
  const { value: policy, close } = await openPolicy(parseConfig({ model: keys, run: { threads: 1 } }));
  const saved = path.join(model.folder, "saved");
  await policy.save(saved);
  const json = JSON.parse(await readFile(path.join(saved, "adapter_config.json"), "utf8")) as object;
  expect(json).toMatchObject({ target_modules: ["q_proj", "v_proj"] });
  await policy.load(saved);
  await close();
});
