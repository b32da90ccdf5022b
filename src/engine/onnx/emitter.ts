/** @file Collects the nodes and initializers of an ONNX model and encodes it. Knows the format, not our operations. */
import { create, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import type { AttributeProtoSchema, NodeProtoSchema, TensorProtoSchema, ValueInfoProtoSchema } from "onnx-buf";
import {
  AttributeProto_AttributeType,
  ModelProtoSchema,
  TensorProto_DataLocation,
  TensorProto_DataType,
} from "onnx-buf";
import path from "node:path";
import type { Dim, Shape } from "../graph/dim.js";
import { dtypeOf, isStored, type ConstantData, type DType } from "../graph/ops.js";

/** ONNX operator set that ONNX Runtime 1.20 and newer implement, and the version of the file format that goes with it. */
const opset = 21n;
const onnxIrVersion = 10n;

const elementTypes: Record<DType | "int64" | "uint8", TensorProto_DataType> = {
  float32: TensorProto_DataType.FLOAT,
  int32: TensorProto_DataType.INT32,
  int64: TensorProto_DataType.INT64,
  int8: TensorProto_DataType.INT8,
  uint8: TensorProto_DataType.UINT8,
  bool: TensorProto_DataType.BOOL,
};

/** Constants of at least this many bytes stay outside the encoded model, which would copy them (and may not exceed 2 GiB). */
const externalBytes = 1 << 20;

/** A model in ONNX's format, with the constants that were left outside. */
export interface EncodedModel {
  bytes: Uint8Array;
  /** Constants in memory, by the name under which the model asks for them. */
  external: { path: string; data: Uint8Array }[];
  /** The folder of the constants that lie in files: the runtime finds them beside the model, so the model must be put there. */
  directory?: string;
}

/** Attribute values: integers, integer lists and strings as such, floats as `{ float }`. */
type AttributeValue = number | readonly number[] | string | { float: number };

/** Collects operators, constants, inputs and outputs, and encodes them as an ONNX file. */
export class OnnxEmitter {
  readonly #nodes: MessageInitShape<typeof NodeProtoSchema>[] = [];
  readonly #initializers: MessageInitShape<typeof TensorProtoSchema>[] = [];
  readonly #inputs: MessageInitShape<typeof ValueInfoProtoSchema>[] = [];
  readonly #outputs: MessageInitShape<typeof ValueInfoProtoSchema>[] = [];
  readonly #known = new Map<string, string>();
  readonly #shapes = new Map<string, MessageInitShape<typeof ValueInfoProtoSchema>>();
  /** Constants in memory that are large, until it is known where they go. */
  readonly #large: {
    name: string;
    dataType: TensorProto_DataType;
    dims: bigint[];
    rawData: Uint8Array<ArrayBuffer>;
  }[] = [];
  #directory: string | undefined;

  /** Adds an operator of one output and returns the output's name. The same operator on the same inputs is added once. */
  emit(
    operator: string,
    inputs: readonly string[],
    attributes: Record<string, AttributeValue> = {},
    domain = "",
  ): string {
    const key = `${domain}.${operator}(${inputs.join()})${JSON.stringify(attributes)}`;
    const known = this.#known.get(key);
    if (known) return known;
    const name = `t${this.#nodes.length}`;
    this.emitNamed(operator, inputs, [name], attributes, domain);
    this.#known.set(key, name);
    return name;
  }

  /** Adds an operator whose outputs the caller names. */
  emitNamed(
    operator: string,
    inputs: readonly string[],
    outputs: readonly string[],
    attributes: Record<string, AttributeValue> = {},
    domain = "",
  ): void {
    this.#nodes.push({
      opType: operator,
      domain,
      input: [...inputs],
      output: [...outputs],
      attribute: Object.entries(attributes).map(([name, value]) => attribute(name, value)),
    });
  }

  input(name: string, shape: Shape, dtype: DType): void {
    this.#inputs.push(valueInfo(name, shape, dtype));
  }

  output(name: string, shape: Shape, dtype: DType): void {
    this.#outputs.push(valueInfo(name, shape, dtype));
  }

  /**
   * Tells the shape of a value between operators. The runtime plans its memory by comparing shapes: where it does not know them, that takes time that grows with
   * the square of the number of operators (35 s instead of 3 for a training graph of SmolLM2).
   */
  value(name: string, shape: Shape, dtype: DType): void {
    if (!this.#shapes.has(name)) this.#shapes.set(name, valueInfo(name, shape, dtype));
  }

  /** Adds a constant tensor, once, and returns its name; its memory is used as it is until a session has been made. */
  initializer(name: string, shape: readonly number[], data: ConstantData): string {
    if (this.#known.has(name)) return name;
    const dtype = dtypeOf(data);
    const dataType = elementTypes[dtype];
    const tensor = { name, dataType, dims: shape.map(BigInt) };
    this.#known.set(name, name);
    if (isStored(data)) {
      this.#requireDirectory(path.dirname(data.file));
      const length = data.length * (dtype === "int8" ? 1 : Float32Array.BYTES_PER_ELEMENT);
      this.#initializers.push({ ...tensor, ...outside(path.basename(data.file), data.offset, length) });
      return name;
    }
    const rawData = new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
    if (rawData.length < externalBytes) this.#initializers.push({ ...tensor, rawData });
    else this.#large.push({ ...tensor, rawData });
    return name;
  }

  #requireDirectory(directory: string): void {
    if (this.#directory !== undefined && this.#directory !== directory) {
      throw new Error(`internal: constants lie in ${this.#directory} and in ${directory}`);
    }
    this.#directory = directory;
  }

  /** The runtime takes constants from files or from memory, not both for one model: beside files, those in memory are encoded. */
  #placeLarge(): EncodedModel["external"] {
    if (this.#directory !== undefined) {
      this.#initializers.push(...this.#large);
      return [];
    }
    for (const { name, dataType, dims, rawData } of this.#large) {
      this.#initializers.push({ name, dataType, dims, ...outside(name, 0, rawData.length) });
    }
    return this.#large.map(({ name, rawData }) => ({ path: name, data: rawData }));
  }

  /** The name of a constant int64 vector. */
  int64(values: readonly number[]): string {
    return this.#constant(`int64_${values.join("_")}`, [values.length], "int64", BigInt64Array.from(values, BigInt));
  }

  /** The name of a constant scalar. */
  scalar(dtype: "float32" | "int32" | "uint8", value: number): string {
    const arrays = { float32: Float32Array, int32: Int32Array, uint8: Uint8Array };
    return this.#constant(`${dtype}_scalar_${value}`, [], dtype, arrays[dtype].of(value));
  }

  #constant(
    name: string,
    shape: number[],
    type: keyof typeof elementTypes,
    {
      buffer,
    }: BigInt64Array<ArrayBuffer> | Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer> | Uint8Array<ArrayBuffer>,
  ): string {
    if (!this.#known.has(name)) {
      const rawData = new Uint8Array(buffer);
      this.#initializers.push({ name, dataType: elementTypes[type], dims: shape.map(BigInt), rawData });
      this.#known.set(name, name);
    }
    return name;
  }

  encode(): EncodedModel {
    const external = this.#placeLarge();
    const model = create(ModelProtoSchema, {
      irVersion: onnxIrVersion,
      producerName: "sleuth",
      opsetImport: [
        { domain: "", version: opset },
        { domain: "com.microsoft", version: 1n },
      ],
      graph: {
        name: "graph",
        node: this.#nodes,
        initializer: this.#initializers,
        input: this.#inputs,
        output: this.#outputs,
        valueInfo: [...this.#shapes.values()],
      },
    });
    return { bytes: toBinary(ModelProtoSchema, model), external, directory: this.#directory };
  }
}

/** ONNX's number for a type, as the attribute `to` of Cast wants it. */
export function elementType(dtype: DType | "int64"): number {
  return elementTypes[dtype];
}

function outside(location: string, offset: number, length: number): MessageInitShape<typeof TensorProtoSchema> {
  const externalData = Object.entries({ location, offset, length }).map(([key, value]) => ({
    key,
    value: String(value),
  }));
  return { dataLocation: TensorProto_DataLocation.EXTERNAL, externalData };
}

function valueInfo(name: string, shape: Shape, dtype: DType): MessageInitShape<typeof ValueInfoProtoSchema> {
  const dim = shape.map((size: Dim) => ({
    value:
      typeof size === "number"
        ? ({ case: "dimValue", value: BigInt(size) } as const)
        : ({ case: "dimParam", value: size } as const),
  }));
  return { name, type: { value: { case: "tensorType", value: { elemType: elementTypes[dtype], shape: { dim } } } } };
}

function attribute(name: string, value: AttributeValue): MessageInitShape<typeof AttributeProtoSchema> {
  if (typeof value === "number") return { name, type: AttributeProto_AttributeType.INT, i: BigInt(value) };
  if (typeof value === "string")
    return { name, type: AttributeProto_AttributeType.STRING, s: new TextEncoder().encode(value) };
  if ("float" in value) return { name, type: AttributeProto_AttributeType.FLOAT, f: value.float };
  return { name, type: AttributeProto_AttributeType.INTS, ints: value.map(BigInt) };
}
