/** @file The policy of a configuration: the model, its adapter, and the memory that its purpose needs. */
import type { Algorithm } from "../algorithms/algorithm.js";
import { isEngineLoss } from "../algorithms/losses.js";
import type { Policy } from "../contracts/policy.js";
import { isAdapterFolder, readAdapterConfig } from "../engine/io/adapter-folder.js";
import { parseMemory } from "../engine/memory/limit.js";
import type { Workload } from "../engine/memory/plan.js";
import { allLoraTargets, type LoraConfig } from "../engine/model/lora.js";
import { UserError } from "../errors.js";
import { createLocalPolicy } from "../policy/local/local.js";
import { budgetsOf } from "../rollout/settings.js";
import type { Fitting } from "./calibration.js";
import { parseConfig, type Config } from "./config/config.js";
import { locateModel } from "./model-folder.js";
import type { OnNotice } from "./notices.js";
import { openServed } from "./open-served.js";
import { algorithmOf, type GivenParts, type Opened } from "./parts.js";
import { isServed } from "./served-model.js";
import { shellWord } from "../printable.js";
import { methodSettings } from "../rollout/methods/named.js";

/** What a policy is opened for: memory is planned for that. */
export type Purpose = "reinforcement" | "supervision" | "sampling";

interface PolicyOccasion extends Fitting {
  /** Is told what was found out. Default: nobody. */
  onNotice?: OnNotice;
}

/**
 * The policy of a configuration, or the one given.
 * @throws UserError when the model cannot be read or memory does not suffice for the purpose; for a server that is not there, or asked to train
 */
export async function openPolicy(
  config: Config,
  given: GivenParts = {},
  purpose: Purpose = "reinforcement",
  { onNotice, ...fitting }: PolicyOccasion = {},
): Promise<Opened<Policy>> {
  if (given.policy !== undefined) return { value: given.policy, close: () => Promise.resolve() };
  if (isServed(config)) return openServed(config, purpose, onNotice);
  const workload = workloadOf(config, given.algorithm ?? algorithmOf(config), purpose);
  const policy = await createLocalPolicy({
    ...(await locateModel(config.model.folder)),
    adapt: config.model.adapt,
    lora: loraOf(config),
    precision: config.run.precision,
    ...fitting,
    seed: config.train.seed,
    threads: config.run.threads === 0 ? undefined : config.run.threads,
    provider: config.run.executionProvider,
    microBatchTokens: config.train.microBatchTokens === 0 ? undefined : config.train.microBatchTokens,
    maxBatch: config.rollout.maxConcurrent,
    memoryBytes: config.run.memory === "" ? undefined : parseMemory(config.run.memory, "run.memory"),
    recompute: config.run.recompute,
    workload,
    critic: workload.critic,
  });
  for (const message of policy.notes ?? []) onNotice?.({ kind: "note", message });
  return { value: policy, close: () => policy.close() };
}

function workloadOf(config: Config, algorithm: Algorithm, purpose: Purpose): Workload {
  const { maxTokensPerTurn } = config.rollout;
  const { protocol } = config.rollout;
  // How many turns there are depends little on the protocol, which need not be settled here.
  const { maxSearches } = methodSettings({ ...config.rollout, protocol: protocol === "auto" ? "search-r1" : protocol });
  const { maxTokens } = budgetsOf(config.rollout);
  const written = Math.min(maxTokens, (maxSearches + 1) * maxTokensPerTurn);
  const common = { sampling: purpose !== "supervision", training: purpose !== "sampling", rowTokens: maxTokens };
  if (purpose === "supervision") {
    const logprobs = config.sft.validation > 0 ? "current" : "never";
    return { ...common, lossTokens: written, groupSize: 1, logprobs, critic: false, entropy: false };
  }
  const { needs } = algorithm;
  const { loss, entropy } = algorithm.objective(algorithm.initialState());
  const asksForLogprobs = needs.currentLogprobs || !isEngineLoss(loss);
  return {
    ...common,
    lossTokens: config.algorithm.maskRetrieved ? written : maxTokens,
    groupSize: config.algorithm.groupSize,
    logprobs: needs.reference ? "reference" : asksForLogprobs ? "current" : "never",
    critic: purpose === "reinforcement" && needs.values,
    entropy: purpose === "reinforcement" && entropy !== 0,
  };
}

/**
 * An adapter that training goes on with keeps its shape: other settings than its own would be ignored. A default counts as not asked for.
 * @throws UserError when the configuration asks for another rank, alpha or other layers
 */
export async function requireOwnLora(config: Config): Promise<void> {
  const { model: folder } = await locateModel(config.model.folder);
  if (!isAdapterFolder(folder)) return;
  const { lora: own } = await readAdapterConfig(folder);
  const [asked, standard] = [loraOf(config), loraOf(parseConfig({}))];
  for (const [key, name] of [
    ["loraRank", "rank"],
    ["loraAlpha", "alpha"],
    ["loraTargets", "targets"],
  ] as const) {
    const [has, wanted, usual] = [own, asked, standard].map((lora) => [lora[name]].flat().sort().join(","));
    if (wanted === has || wanted === usual) continue;
    throw new UserError(
      `model.${key} is ${String(config.model[key])}, but ${folder} is an adapter that has ${has}, and training goes on with it as it is. ` +
        `Leave model.${key} out, or merge the adapter first (sleuth export ${shellWord(folder)} --out FOLDER) and train a new one over FOLDER.`,
    );
  }
}

/** @throws UserError for a layer that does not exist */
function loraOf({ model }: Config): LoraConfig {
  const { loraRank: rank, loraAlpha: alpha, loraTargets } = model;
  if (loraTargets === "all-linear") return { rank, alpha, targets: allLoraTargets };
  const names = new Set(loraTargets.split(",").map((name) => name.trim()));
  const unknown = [...names].find((name) => !(allLoraTargets as readonly string[]).includes(name));
  if (unknown !== undefined) {
    throw new UserError(
      `model.loraTargets names "${unknown}", which is no layer that can be adapted. Use all-linear, or some of ${allLoraTargets.join(",")}.`,
    );
  }
  return { rank, alpha, targets: allLoraTargets.filter((target) => names.has(target)) };
}
