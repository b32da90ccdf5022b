/** @file The critic behind the local policy: parameters, trainer and optimizer of a value function. */
import path from "node:path";
import { namedTensors, SafetensorsFile, writeSafetensors } from "../../engine/io/safetensors.js";
import { checkFinite } from "../../engine/io/tensor-set.js";
import { createParameterStore, parameter, type ParameterStore } from "../../engine/model/parameters.js";
import { createValueModel, valueParts } from "../../engine/model/value-model.js";
import type { EngineModel } from "../../engine/model/weights.js";
import { AdamW, loadOptimizer, saveOptimizer } from "../../engine/optim/adamw.js";
import { ValueTrainer } from "../../engine/optim/value-trainer.js";
import type { TrainerOptions } from "../../engine/optim/sequence-runner.js";
import type { Critic, ValueDatum, ValueLoss, ValueResult } from "../../contracts/critic.js";
import type { AdamOptions, OptimStepResult } from "../../contracts/policy.js";
import type { LocalOptions } from "./protocol.js";
import { loadTrained, saveTrained } from "./saved-model.js";

const headFile = "value_head.safetensors";

/** Works on the thread that it was made on, as `LocalEngine` does. It shares frozen weights with the policy and nothing else. */
export class LocalCritic implements Critic {
  readonly #model: EngineModel;
  readonly #options: LocalOptions;
  readonly #trainer: ValueTrainer;
  readonly #optimizer: AdamW;

  /** @param policy the model beside it, as it starts */
  constructor(policy: EngineModel, training: TrainerOptions, options: LocalOptions) {
    this.#model = createValueModel(policy);
    this.#options = options;
    this.#trainer = new ValueTrainer(this.#model, training);
    this.#optimizer = new AdamW(this.#model.trainable.flat.length, training);
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
    const { trunk, head } = valueParts(this.#model);
    await saveTrained(folder, this.#model, trunk, this.#options);
    await writeSafetensors(path.join(folder, headFile), namedTensors(head), { metadata: { format: "pt" } });
    await saveOptimizer(folder, this.#model.trainable, this.#optimizer.state);
  }

  async load(folder: string): Promise<void> {
    const { trunk, head } = valueParts(this.#model);
    const savedTrunk = await loadTrained(folder, this.#model);
    const savedHead = await readHead(folder, head);
    this.#optimizer.state = await loadOptimizer(folder, this.#model.trainable);
    trunk.flat.set(savedTrunk.flat);
    head.flat.set(savedHead.flat);
    this.#trainer.clearGradients();
  }

  async release(): Promise<void> {
    await this.#trainer.release();
    await this.#optimizer.release();
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
