import { readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { UserError } from "../../errors.js";
import { policyConformance } from "../conformance.js";
import { createLocalPolicy, type LocalOptions } from "./local.js";
import { makeTinyModel } from "./tiny-model.test-support.js";

const model = await makeTinyModel(1, {}, { sharpness: 10 });
afterAll(() => model.remove());
const open = () => createLocalPolicy({ model: model.folder, threads: 1 });
const openWithCritic = (options: Partial<LocalOptions>) => () =>
  createLocalPolicy({ model: model.folder, threads: 1, critic: true, ...options });

policyConformance("the local policy", openWithCritic({ adapt: "full" }));
policyConformance("the local policy with an adapter", openWithCritic({ adapt: "lora", precision: "float32" }));
policyConformance(
  "the local policy with an adapter over 8-bit weights",
  openWithCritic({ adapt: "lora", precision: "int8" }),
  {
    lacks: [
      {
        reason:
          "what rounds goes in steps, whose slope differences do not see; autodiff/gradients.test.ts compares with the smooth function",
        tests: [
          "entropy: its gradient is that of central differences",
          "critic: the gradient of the value loss is that of central differences",
        ],
      },
    ],
  },
);

describe("the local policy", () => {
  it("refuses an execution provider whose numbers are not right, before it reads anything", async () => {
    const opened = createLocalPolicy({ model: "/nowhere", provider: "webgpu" });
    await expect(opened).rejects.toThrow(UserError);
    await expect(opened).rejects.toThrow(/provider is webgpu, but only cpu/);
  });

  it("computes a group's prompt once and a second turn's new tokens only", async () => {
    const policy = await open();
    const prompt = policy.tokenizer.encode(" Question: the capital of the country\n");
    const samples = await Promise.all(
      Array.from({ length: 8 }, (_, seed) => policy.sample(prompt, { maxTokens: 4, seed })),
    );
    const first = await policy.stats();
    // All but the last prompt token are shared; that one starts each sequence's own sampling.
    expect(first.reusedTokens).toBe(7 * (prompt.length - 1));
    expect(first.prefillTokens).toBe(prompt.length + 7);
    const observation = policy.tokenizer.encode(" here is the country");
    await policy.sample([...prompt, ...samples[3].tokens_T, ...observation], { maxTokens: 2 });
    const second = await policy.stats();
    // The last sampled token was never fed, so it is new as well.
    expect(second.prefillTokens - first.prefillTokens).toBe(observation.length + 1);
    await policy.close();
  });

  it("answers for the frozen start after training", async () => {
    const policy = await open();
    const tokens_T = policy.tokenizer.encode(" the capital of the country is here");
    const before = await policy.logprobs([tokens_T]);
    const ones = new Float32Array(tokens_T.length).fill(0.1);
    const datum = { tokens_T, sampledMask_T: new Uint8Array(tokens_T.length).fill(1), weights_T: ones };
    await policy.forwardBackward([datum], { kind: "cross_entropy" });
    const adam = { learningRate: 0.01, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0, maxGradNorm: 1 };
    await policy.optimStep(adam);
    expect(await policy.logprobs([tokens_T])).not.toEqual(before);
    expect(await policy.logprobs([tokens_T], { reference: true })).toEqual(before);
    await policy.close();
  });

  it("refuses, before it reads weights, what memory does not suffice for", async () => {
    const opening = createLocalPolicy({ model: model.folder, memoryBytes: 2 ** 20 });
    await expect(opening).rejects.toThrow(/takes at least .* but 1 MB may be used/);
    await expect(opening).rejects.toHaveProperty("name", "UserError");
  });

  it("tells its plan of memory and works by it", async () => {
    const memoryBytes = 2 ** 32;
    const policy = await createLocalPolicy({
      model: model.folder,
      threads: 1,
      memoryBytes,
      recompute: "always",
      microBatchTokens: 32,
      maxBatch: 2,
      workload: { rowTokens: 16, groupSize: 1 },
    });
    const { memory } = policy;
    expect(memory).toMatchObject({ limitBytes: memoryBytes, microBatchTokens: 32, recompute: true });
    expect(memory?.totalBytes).toBeLessThan(memoryBytes);
    const other = await open();
    const tokens_T = policy.tokenizer.encode(" the capital of the country is here");
    const ones = new Float32Array(tokens_T.length).fill(0.1);
    const data = [1, 2, 3, 4, 5].map((length) => {
      return {
        tokens_T: tokens_T.slice(0, length + 2),
        sampledMask_T: new Uint8Array(length + 2).fill(1),
        weights_T: ones,
      };
    });
    const [planned, usual] = await Promise.all(
      [policy, other].map((one) => one.forwardBackward(data, { kind: "cross_entropy" })),
    );
    expect(planned.loss).toBeCloseTo(usual.loss, 4);
    expect((await policy.sample(tokens_T, { maxTokens: 3 })).tokens_T.length).toBeGreaterThan(0);
    await policy.close();
    await other.close();
  });

  it("finds the base of an adapter, and its own chat template", async () => {
    const adapted = await createLocalPolicy({ model: model.folder, threads: 1, adapt: "lora" });
    const adapter = path.join(model.folder, "adapter");
    await adapted.save(adapter, { optimizer: false });
    await adapted.close();
    await writeFile(path.join(adapter, "chat_template.jinja"), "{% for m in messages %}[{{ m.content }}]{% endfor %}");
    const policy = await createLocalPolicy({ model: adapter, threads: 1 });
    const tokens_T = policy.tokenizer.encode(" the capital");
    const whole = await open();
    expect(await policy.logprobs([tokens_T])).toEqual(await whole.logprobs([tokens_T]));
    expect(policy.tokenizer.chatTemplate?.render([{ role: "user", content: "x" }], { addGenerationPrompt: true })).toBe(
      "[x]",
    );
    const again = path.join(model.folder, "adapter-again");
    await policy.save(again, { optimizer: false });
    const { base_model_name_or_path } = JSON.parse(
      await readFile(path.join(again, "adapter_config.json"), "utf8"),
    ) as Record<string, unknown>;
    expect(base_model_name_or_path).toBe(model.folder);
    await policy.close();
    await whole.close();
    await expect(createLocalPolicy({ model: model.folder, base: model.folder })).rejects.toThrow(/is no adapter/);
  });

  it("loads weights that were saved without an optimizer", async () => {
    const policy = await open();
    const tokens_T = policy.tokenizer.encode(" the capital");
    const before = await policy.logprobs([tokens_T]);
    const saved = path.join(model.folder, "weights-alone");
    await policy.save(saved, { optimizer: false });
    await policy.load(saved);
    expect(await policy.logprobs([tokens_T])).toEqual(before);
    await policy.close();
  });

  it("says what is wrong with a model folder before it computes anything", async () => {
    const broken = await makeTinyModel();
    await writeFile(path.join(broken.folder, "model.safetensors"), "nonsense");
    await expect(createLocalPolicy({ model: broken.folder })).rejects.toThrow(/model\.safetensors/);
    await rm(path.join(broken.folder, "tokenizer.json"));
    await expect(createLocalPolicy({ model: broken.folder })).rejects.toThrow(/tokenizer\.json/);
    await broken.remove();
  });

  it("has a critic only where one was asked for, and says what is wrong with a critic's folder", async () => {
    const policy = await createLocalPolicy({ model: model.folder, threads: 1, critic: true });
    const other = await open();
    expect(other.critic).toBeUndefined();
    expect(policy.memory?.parts.map(({ name }) => name)).toContain("critic's weights");
    const folder = path.join(model.folder, "policy-alone");
    await policy.save(folder);
    await expect(policy.critic?.load(folder)).rejects.toThrow(/value_head\.safetensors/);
    await expect(policy.critic?.load(folder)).rejects.toHaveProperty("name", "UserError");
    const adapted = await createLocalPolicy({ model: model.folder, threads: 1, critic: true, adapt: "lora" });
    const ofCritic = path.join(model.folder, "critic");
    await adapted.critic?.save(ofCritic);
    await writeFile(path.join(ofCritic, "value_head.safetensors"), "nonsense");
    await expect(adapted.critic?.load(ofCritic)).rejects.toThrow(/value_head\.safetensors/);
    for (const one of [policy, other, adapted]) await one.close();
  });

  it("passes on what the system says, so that a full disk is told from a bug", async () => {
    const policy = await open();
    const insideAFile = path.join(model.folder, "config.json", "saved");
    await expect(policy.save(insideAFile)).rejects.toMatchObject({ code: "ENOTDIR" });
    await policy.close();
  });

  it("rejects what is pending and what comes later once it is closed", async () => {
    const policy = await open();
    const pending = policy.sample([3, 4, 5], { maxTokens: 60 });
    const outcome = expect(pending).rejects.toThrow();
    await policy.close();
    await outcome;
    await expect(policy.sample([3], { maxTokens: 1 })).rejects.toThrow(/stopped/);
  });
});
