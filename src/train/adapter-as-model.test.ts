/** @file Adapters and runs given as models: what is meant is found, and what cannot be meant is said before anything is opened. */
import { cpSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { loadModelConfig } from "../engine/io/open-model.js";
import { saveAdapterFolder } from "../engine/io/adapter-folder.js";
import { initAdapter } from "../engine/model/lora.js";
import { UserError } from "../errors.js";
import { makeTinyModel } from "../policy/local/tiny-model.test-support.js";
import { parseConfig, type ConfigInput } from "./config/config.js";
import { locateModel, readModel } from "./model-folder.js";
import { requireOwnLora } from "./open-policy.js";
import { sft } from "./sft/sft.js";
import { train } from "./train.js";

const root = mkdtempSync(path.join(tmpdir(), "sleuth-adapter-as-model-"));
const base = await makeTinyModel();
const adapter = path.join(root, "adapter");
const config = await loadModelConfig(base.folder);
const lora = { rank: 4, alpha: 8, targets: ["q_proj", "up_proj"] } as const;
await saveAdapterFolder(adapter, { adapter: initAdapter(config, lora, 1), base: base.folder, config });
afterAll(async () => {
  await base.remove();
  rmSync(root, { recursive: true });
});

async function refusal(failing: Promise<unknown>): Promise<string> {
  const error: unknown = await failing.catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(UserError);
  return (error as UserError).message;
}

describe("an adapter as a model", () => {
  it("brings its base", async () => {
    expect(await locateModel(adapter)).toEqual({ model: adapter, base: base.folder, baseName: base.folder });
  });

  it("is read with its own tokenizer and template before it is opened", async () => {
    const talking = path.join(root, "talking");
    cpSync(adapter, talking, { recursive: true });
    writeFileSync(path.join(talking, "chat_template.jinja"), "of the adapter");
    expect((await readModel(adapter)).tokenizer.chatTemplate).toBeUndefined();
    expect((await readModel(talking)).tokenizer.chatTemplate?.source).toBe("of the adapter");
  });

  it("says where its base should be when that has moved, and what can be done", async () => {
    const moved = `${base.folder}-moved`;
    renameSync(base.folder, moved);
    try {
      const message = await refusal(locateModel(adapter));
      expect(message).toContain(`${adapter} is an adapter of ${base.folder}, which is not on this machine`);
      expect(message).toContain(`sleuth export ${adapter} --base MODEL`);
    } finally {
      renameSync(moved, base.folder);
    }
  });

  it("needs a whole model below it", async () => {
    const second = path.join(root, "second");
    await saveAdapterFolder(second, { adapter: initAdapter(config, lora, 1), base: adapter, config });
    expect(await refusal(locateModel(second))).toMatch(/is an adapter itself.*sleuth export/);
  });

  it.each([
    [{ loraRank: 8 }, /model\.loraRank is 8, but .*adapter is an adapter that has 4/],
    [{ loraAlpha: 16 }, /model\.loraAlpha is 16, but .* that has 8/],
    [{ loraTargets: "q_proj" }, /model\.loraTargets is q_proj, but .* that has q_proj,up_proj/],
  ] as [ConfigInput["model"], RegExp][])("keeps its shape in training: %o is refused", async (change, message) => {
    const model = { folder: adapter, ...change };
    const run = { folder: path.join(root, "run") };
    expect(await refusal(train({ model, run }))).toMatch(message);
    expect(await refusal(sft({ model, run, sft: { transcripts: "atlas" } }))).toMatch(message);
  });

  it("is trained further with its own settings, or with none", async () => {
    for (const model of [{}, { loraRank: 4, loraAlpha: 8, loraTargets: "up_proj, q_proj" }])
      await requireOwnLora(parseConfig({ model: { folder: adapter, ...model } }));
    await requireOwnLora(parseConfig({ model: { folder: base.folder, loraRank: 8 } }));
  });
});

it("a run is no model, but names the one that is meant", async () => {
  const run = path.join(root, "run");
  mkdirSync(run);
  writeFileSync(path.join(run, "run.json"), "{}");
  expect(await refusal(locateModel(run))).toMatch(/folder of a run, and not a model.*checkpoints.*policy/);
  mkdirSync(path.join(run, "best"));
  expect(await refusal(locateModel(run))).toContain(`Name its best model: ${path.join(run, "best")}`);
});
