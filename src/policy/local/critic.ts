/** @file The critic behind the local policy: parameters, trainer and optimizer of a value function. */
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { loadAdapterFolder, saveAdapterFolder } from "../../engine/io/adapter-folder.js";
import { loadModelFolder, saveModelFolder } from "../../engine/io/model-folder.js";
import { SafetensorsFile, writeSafetensors } from "../../engine/io/safetensors.js";
import { checkFinite } from "../../engine/io/tensor-set.js";
import { createParameterStore, parameter, type ParameterStore } from "../../engine/model/parameters.js";
import { createValueModel, valueParts } from "../../engine/model/value-model.js";
import type { EngineModel } from "../../engine/model/weights.js";
import { AdamW, loadOptimizer, saveOptimizer } from "../../engine/optim/adamw.js";
import { ValueTrainer } from "../../engine/optim/value-trainer.js";
import type { TrainerOptions } from "../../engine/optim/sequence-runner.js";
import type { Critic, ValueDatum, ValueLoss, ValueResult } from "../../contracts/critic.js";
import type { AdamOptions, OptimStepResult } from "../../contracts/policy.js";
import { requireSameLora, type SavedWith } from "./saved-model.js";

const headFile = "value_head.safetensors";

/** Works on the thread that it was made on, as `LocalEngine` does. It shares frozen weights with the policy and nothing else. */
export class LocalCritic implements Critic {
  readonly #model: EngineModel;
  readonly #saved: SavedWith;
  readonly #trainer: ValueTrainer;
  readonly #optimizer: AdamW;

  /** @param policy the model beside it, as it starts */
  constructor(policy: EngineModel, options: TrainerOptions, saved: SavedWith) {
    this.#model = createValueModel(policy);
    this.#saved = saved;
    this.#trainer = new ValueTrainer(this.#model, options);
    this.#optimizer = new AdamW(this.#model.trainable.flat.length, options);
  }

  values(sequences: readonly (readonly number[])[], masks_D_T?: readonly Uint8Array[]): Promise<Float32Array[]> {
    return this.#trainer.values(sequences, masks_D_T);
  }

  forwardBackward(data_D: readonly ValueDatum[], loss: ValueLoss): Promise<ValueResult> {
    return this.#trainer.forwardBackward(data_D, loss);
  }

  async optimStep(options: AdamOptions): Promise<OptimStepResult> {
    const result = await this.#optimizer.step(this.#model.trainable, this.#trainer.gradients, options);
    this.#trainer.clearGradients();
    return result;
  }

  /** The trunk as a model or an adapter, the head and the optimizer beside it. */
  async save(folder: string): Promise<void> {
    const { config, trainable, base } = this.#model;
    const { trunk, head } = valueParts(this.#model);
    await mkdir(folder, { recursive: true });
    if (base) {
      const adapter = { lora: base.lora, parameters: trunk };
      await saveAdapterFolder(folder, { adapter, base: this.#saved.baseName, config });
    } else {
      await saveModelFolder(folder, { config, parameters: trunk, tokenizerFrom: this.#saved.tokenizerFrom });
    }
    const tensors = head.shapes.map(({ name, shape }) => ({ name, shape, data: parameter(head, name) }));
    await writeSafetensors(path.join(folder, headFile), tensors, { metadata: { format: "pt" } });
    await saveOptimizer(folder, trainable, this.#optimizer.state);
  }

  async load(folder: string): Promise<void> {
    const { trainable } = this.#model;
    const { trunk, head } = valueParts(this.#model);
    const savedTrunk = await this.#readTrunk(folder);
    const savedHead = await readHead(folder, head);
    this.#optimizer.state = await loadOptimizer(folder, trainable);
    trunk.flat.set(savedTrunk.flat);
    head.flat.set(savedHead.flat);
    this.#trainer.clearGradients();
  }

  async release(): Promise<void> {
    await this.#trainer.release();
    await this.#optimizer.release();
  }

  async #readTrunk(folder: string): Promise<ParameterStore> {
    const { config, base } = this.#model;
    if (!base) return (await loadModelFolder(folder, config)).parameters;
    const { adapter } = await loadAdapterFolder(folder, config);
    requireSameLora(folder, adapter.lora, base.lora);
    return adapter.parameters;
  }
}

async function readHead(folder: string, { shapes }: ParameterStore): Promise<ParameterStore> {
  const file = await SafetensorsFile.open(path.join(folder, headFile));
  try {
    const head = createParameterStore(shapes);
    for (const { name } of shapes) checkFinite(file.file, name, await file.read(name, parameter(head, name)));
    return head;
  } finally {
    await file.close();
  }
}
