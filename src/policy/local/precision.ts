/** @file In what frozen weights are multiplied: as asked for, or what pays on this machine and loses nothing. */
import os from "node:os";
import { hasChannelRanges, isAdapterFolder } from "../../engine/io/adapter-folder.js";
import { readModelConfig } from "../../engine/io/open-model.js";
import { int8Speedup, runtimeProducts, sumsAreExact } from "../../engine/int8/products.js";
import type { ModelConfig } from "../../engine/model/config.js";
import type { Precision } from "../../engine/model/int8.js";
import { elementCount, parameterShapes } from "../../engine/model/parameters.js";
import type { RuntimeOptions } from "../../engine/runtime/session.js";
import { UserError } from "../../errors.js";
import type { LocalOptions } from "./protocol.js";

/** Below this many parameters all of them are trained, unless something else is asked for; 8 bits were not tried there. */
const small = 20_000_000;

/** From this on, 8 bits are worth what they round away. */
const leastSpeedup = 1.2;

/** What is to be known of a machine. */
export interface Machine {
  /** Whether sums of 8-bit products are exact. */
  isExact(): Promise<boolean>;
  /** How many times as fast as float32 products 8-bit ones are, for a model of this shape. */
  speedup(config: ModelConfig): Promise<number>;
}

export function thisMachine(runtime: RuntimeOptions): Machine {
  return {
    isExact: () => sumsAreExact(runtimeProducts(runtime)),
    speedup: (config) => int8Speedup(config, runtime),
  };
}

/** What the choice depends on besides the machine. */
interface Opening {
  asked: LocalOptions["precision"];
  model: string;
  config: ModelConfig;
  /** Whether weights are frozen: there is an adapter, or will be one. */
  isAdapted: boolean;
  /** Of the adapter that is opened, where one is: whether it was trained over 8-bit weights. */
  trainedOnInt8?: boolean;
  /** Whether the model will be trained. */
  trains: boolean;
}

interface PrecisionChoice {
  precision: Precision;
  /** What decided, where something was found out. */
  notes: string[];
}

/**
 * `auto` is float32 where all weights are trained, in small models, and in models that are only read; an adapter goes on as it was trained. Anything else is measured.
 * @throws UserError for int8 where no weight is frozen, and where its sums are not exact
 */
export async function choosePrecision(opening: Opening, machine: Machine): Promise<PrecisionChoice> {
  const { asked = "auto", model, config, isAdapted, trainedOnInt8, trains } = opening;
  if (!isAdapted) {
    if (asked === "int8") throw nothingFrozen(model);
    return { precision: "float32", notes: [] };
  }
  if (asked === "float32") return { precision: asked, notes: [] };
  if (asked === "int8") {
    if (!(await machine.isExact())) throw inexact();
    return { precision: asked, notes: [] };
  }
  const isSmall = parameterCount(config) < small;
  if (trainedOnInt8 === undefined ? isSmall || !trains : !trainedOnInt8) {
    const isNews = trainedOnInt8 === false && trains && !isSmall;
    return { precision: "float32", notes: isNews ? [`precision float32, over which ${model} was trained`] : [] };
  }
  if (!(await machine.isExact()))
    return { precision: "float32", notes: [`precision float32: sums of 8-bit products are not exact here (${cpu()})`] };
  if (trainedOnInt8)
    return { precision: "int8", notes: trains ? [`precision int8, over which ${model} was trained`] : [] };
  const speedup = await machine.speedup(config);
  const pays = speedup >= leastSpeedup;
  const found = `8-bit products are ${pays ? "" : "only "}${speedup.toFixed(1)} times as fast as float32 here`;
  return pays
    ? { precision: "int8", notes: [`precision int8: ${found}`] }
    : { precision: "float32", notes: [`precision float32: ${found}`] };
}

export function parameterCount(config: ModelConfig): number {
  return parameterShapes(config).reduce((sum, { shape }) => sum + elementCount(shape), 0);
}

/** Whether a fresh adapter is trained over a model of this shape, or all of its weights. */
export function adapts(adapt: LocalOptions["adapt"], config: ModelConfig): boolean {
  return adapt === "lora" || (adapt !== "full" && parameterCount(config) >= small);
}

/**
 * Whether texts may be wanted to fit 8-bit weights to, for what is going to be trained.
 * @throws UserError when the model's configuration cannot be read
 */
export async function mayCalibrate({
  model,
  base,
  adapt,
  precision = "auto",
}: Pick<LocalOptions, "model" | "base" | "adapt" | "precision">): Promise<boolean> {
  if (precision === "float32") return false;
  if (isAdapterFolder(model)) return precision === "int8" && !hasChannelRanges(model);
  const config = await readModelConfig(base ?? model);
  return adapts(adapt, config) && (precision === "int8" || parameterCount(config) >= small);
}

function nothingFrozen(model: string): UserError {
  return new UserError(
    `precision is int8, but of ${model} all weights are trained, and only frozen ones can be 8-bit numbers. ` +
      "Train an adapter (model.adapt=lora), or leave the precision at auto (run.precision).",
  );
}

function inexact(): UserError {
  return new UserError(
    `precision is int8, but this machine's sums of 8-bit products are not exact (${cpu()}: most likely AVX2 without VNNI, which adds pairs of them in 16 bits): set run.precision=float32, or go on where they are.`,
  );
}

function cpu(): string {
  return os.cpus()[0]?.model.trim() || os.arch();
}
