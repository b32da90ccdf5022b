/**
 * @file Running models that others exported: an ONNX file with inputs and outputs of its own, or a graph of ours without random or
 * training parts. Like `session.ts`, it blocks the thread that calls it: use it in workers.
 */
import * as ort from "./onnxruntime.js";
import { UserError } from "../../errors.js";
import type { EncodedModel } from "../onnx/emitter.js";
import { float16ToFloat32 } from "../io/half-precision.js";
import { sessionSettings, type Feed } from "./session.js";

interface ModelSessionOptions {
  /** Threads inside one operator. */
  threads: number;
  /** Whether constant weights are laid out anew for the processor, which takes a copy of them. Default true. */
  prepack?: boolean;
}

/** Row-major. Half precision and integers have become float32; int64 stays. */
export interface ModelOutput {
  data: Float32Array | BigInt64Array;
  dims: readonly number[];
}

/** A model that is ready to run. */
export class ModelSession {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly #session: ort.InferenceSession;
  readonly #types: ReadonlyMap<string, string>;

  private constructor(session: ort.InferenceSession) {
    this.#session = session;
    this.inputs = session.inputNames;
    this.outputs = session.outputNames;
    this.#types = new Map(
      session.inputMetadata.map((input) => [input.name, input.isTensor ? input.type : "float32"] as const),
    );
  }

  /**
   * @param model path of an ONNX file (its external data beside it), or a graph of ours
   * @throws UserError when the runtime cannot read the file
   */
  static async open(model: string | EncodedModel, options: ModelSessionOptions): Promise<ModelSession> {
    const settings = sessionSettings({ ...options, provider: "cpu" });
    if (typeof model !== "string") {
      const { bytes, external } = model;
      const externalData = external.length > 0 ? { externalData: external } : {};
      return new ModelSession(await ort.InferenceSession.create(bytes, { ...settings, ...externalData }));
    }
    try {
      return new ModelSession(await ort.InferenceSession.create(model, settings));
    } catch (cause) {
      throw new UserError(
        `${model} cannot be used: ${(cause as Error).message}. Is it a whole ONNX file, with its .onnx_data beside it where it has one? ` +
          "Download or export it again.",
        { cause },
      );
    }
  }

  /**
   * Runs the model. Whole numbers (token ids, masks) become the integer type that it asks for; feeds that it has no input for are left out.
   * @param wanted names of the outputs to compute; default all
   * @throws UserError naming an input of the model that is not fed
   */
  async run(
    feeds: Readonly<Record<string, Feed>>,
    wanted: readonly string[] = this.outputs,
  ): Promise<Record<string, ModelOutput>> {
    const tensors: Record<string, ort.Tensor> = {};
    for (const name of this.inputs) {
      const feed = feeds[name];
      if (feed === undefined)
        throw new UserError(
          `The model asks for an input "${name}" that nothing is known about; known are ${Object.keys(feeds).join(", ")}.`,
        );
      tensors[name] = tensorOf(this.#types.get(name), feed);
    }
    const results = await this.#session.run(tensors, [...wanted]);
    return Object.fromEntries(wanted.map((name) => [name, outputOf(results[name])]));
  }

  /** Frees the runtime's memory. */
  async release(): Promise<void> {
    await this.#session.release();
  }
}

function tensorOf(type: string | undefined, { data, dims }: Feed): ort.Tensor {
  if (data instanceof Float32Array) return new ort.Tensor("float32", data, dims);
  if (type === "int32") return new ort.Tensor("int32", data, dims);
  if (type === "float32") return new ort.Tensor("float32", Float32Array.from(data), dims);
  return new ort.Tensor("int64", BigInt64Array.from(data, BigInt), dims);
}

function outputOf({ type, data, dims }: ort.Tensor): ModelOutput {
  if (data instanceof Float32Array || data instanceof BigInt64Array) return { data, dims };
  // Where the platform has no Float16Array, the runtime gives the bits.
  if (type === "float16" && data instanceof Uint16Array) {
    const numbers = new Float32Array(data.length);
    float16ToFloat32(data, numbers);
    return { data: numbers, dims };
  }
  return { data: Float32Array.from(data as ArrayLike<number>), dims };
}
