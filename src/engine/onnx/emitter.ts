/** @file Collects the nodes and initializers of an ONNX model and encodes it. Knows the format, not our operations. */
import { create, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import type { AttributeProtoSchema, NodeProtoSchema, TensorProtoSchema, ValueInfoProtoSchema } from "onnx-buf";
import { AttributeProto_AttributeType, ModelProtoSchema, TensorProto_DataType } from "onnx-buf";
import type { Dim, Shape } from "../graph/dim.js";
import type { DType } from "../graph/ops.js";

/** ONNX operator set that ONNX Runtime 1.20 and newer implement, and the version of the file format that goes with it. */
const OPSET = 21n;
const IR_VERSION = 10n;

const elementTypes: Record<DType | "int64", TensorProto_DataType> = {
  float32: TensorProto_DataType.FLOAT,
  int32: TensorProto_DataType.INT32,
  int64: TensorProto_DataType.INT64,
  bool: TensorProto_DataType.BOOL,
};

/** Attribute values: integers, integer lists and strings as such, floats as `{ float }`. */
export type AttributeValue = number | readonly number[] | string | { float: number };

/** Collects operators, constants, inputs and outputs, and encodes them as an ONNX file. */
export class OnnxEmitter {
  readonly #nodes: MessageInitShape<typeof NodeProtoSchema>[] = [];
  readonly #initializers: MessageInitShape<typeof TensorProtoSchema>[] = [];
  readonly #inputs: MessageInitShape<typeof ValueInfoProtoSchema>[] = [];
  readonly #outputs: MessageInitShape<typeof ValueInfoProtoSchema>[] = [];
  readonly #known = new Map<string, string>();

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

  /** Adds a constant tensor; its memory is used as it is until `encode`. */
  initializer(name: string, shape: readonly number[], data: Float32Array | Int32Array): void {
    const rawData = new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
    const dataType = elementTypes[data instanceof Float32Array ? "float32" : "int32"];
    this.#initializers.push({ name, dataType, dims: shape.map(BigInt), rawData });
    this.#known.set(name, name);
  }

  /** Whether a constant of this name was added. */
  has(name: string): boolean {
    return this.#known.has(name);
  }

  /** The name of a constant int64 vector. */
  int64(values: readonly number[]): string {
    return this.#constant(`int64_${values.join("_")}`, [values.length], "int64", values);
  }

  /** The name of a constant int32 scalar. */
  int32Scalar(value: number): string {
    return this.#constant(`int32_scalar_${value}`, [], "int32", [value]);
  }

  #constant(name: string, shape: number[], type: "int32" | "int64", values: readonly number[]): string {
    if (!this.#known.has(name)) {
      const data = type === "int64" ? BigInt64Array.from(values, BigInt) : Int32Array.from(values);
      const rawData = new Uint8Array(data.buffer);
      this.#initializers.push({ name, dataType: elementTypes[type], dims: shape.map(BigInt), rawData });
      this.#known.set(name, name);
    }
    return name;
  }

  /** The file's bytes. */
  encode(): Uint8Array {
    const model = create(ModelProtoSchema, {
      irVersion: IR_VERSION,
      producerName: "sleuth",
      opsetImport: [
        { domain: "", version: OPSET },
        { domain: "com.microsoft", version: 1n },
      ],
      graph: {
        name: "graph",
        node: this.#nodes,
        initializer: this.#initializers,
        input: this.#inputs,
        output: this.#outputs,
      },
    });
    return toBinary(ModelProtoSchema, model);
  }
}

/** ONNX's number for a type, as the attribute `to` of Cast wants it. */
export function elementType(dtype: DType | "int64"): number {
  return elementTypes[dtype];
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
