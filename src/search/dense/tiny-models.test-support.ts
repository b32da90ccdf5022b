/** @file Models small enough for tests: BERT with random weights, and one whose hidden states are the embeddings of its tokens. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import {
  AttributeProto_AttributeType,
  ModelProtoSchema,
  TensorProto_DataLocation,
  TensorProto_DataType,
} from "onnx-buf";
import { writeSafetensors } from "../../engine/io/safetensors.js";
import { Random } from "../../random.js";

interface Golden {
  wordPiece: { tokenizer: object };
}

const { wordPiece } = JSON.parse(
  readFileSync(new URL("./testdata/tokenizer-golden.json", import.meta.url), "utf8"),
) as Golden;

const vocabulary = 220;

export interface TinyBertOptions {
  /** With a classifier of so many labels: a cross-encoder. */
  labels?: number;
  hidden?: number;
}

/** A folder as sentence-transformers saves it, without an ONNX file. */
export async function writeTinyBert(folder: string, { labels, hidden = 32 }: TinyBertOptions = {}): Promise<string> {
  const random = new Random(7);
  const [layers, inner, positions] = [2, hidden * 4, 64];
  const prefix = labels === undefined ? "" : "bert.";
  const tensors: { name: string; shape: number[]; data: Float32Array }[] = [];
  const add = (name: string, shape: number[], centre = 0): void => {
    const size = shape.reduce((product, length) => product * length, 1);
    tensors.push({
      name,
      shape,
      data: Float32Array.from({ length: size }, () => centre + 0.3 * (random.next() - 0.5) * 2),
    });
  };
  const linear = (name: string, out: number, into: number): void => {
    add(`${name}.weight`, [out, into]);
    add(`${name}.bias`, [out]);
  };
  const norm = (name: string): void => {
    add(`${name}.weight`, [hidden], 1);
    add(`${name}.bias`, [hidden]);
  };
  add(`${prefix}embeddings.word_embeddings.weight`, [vocabulary, hidden]);
  add(`${prefix}embeddings.position_embeddings.weight`, [positions, hidden]);
  add(`${prefix}embeddings.token_type_embeddings.weight`, [2, hidden]);
  norm(`${prefix}embeddings.LayerNorm`);
  for (let layer = 0; layer < layers; layer++) {
    const base = `${prefix}encoder.layer.${layer}.`;
    for (const kind of ["query", "key", "value"]) linear(`${base}attention.self.${kind}`, hidden, hidden);
    linear(`${base}attention.output.dense`, hidden, hidden);
    norm(`${base}attention.output.LayerNorm`);
    linear(`${base}intermediate.dense`, inner, hidden);
    linear(`${base}output.dense`, hidden, inner);
    norm(`${base}output.LayerNorm`);
  }
  if (labels !== undefined) {
    linear("bert.pooler.dense", hidden, hidden);
    linear("classifier", labels, hidden);
  }
  mkdirSync(folder, { recursive: true });
  await writeSafetensors(path.join(folder, "model.safetensors"), tensors);
  writeJson(folder, "tokenizer.json", wordPiece.tokenizer);
  writeJson(folder, "config.json", {
    ...{
      model_type: "bert",
      hidden_act: "gelu",
      hidden_size: hidden,
      num_hidden_layers: layers,
      num_attention_heads: 4,
    },
    ...{ intermediate_size: inner, max_position_embeddings: positions, layer_norm_eps: 1e-12, pad_token_id: 0 },
  });
  return folder;
}

export interface BagOptions {
  /** Ending of the file: "" is onnx/model.onnx. */
  variant?: string;
  dimensions?: number;
  seed?: number;
  /** Hidden states that are not numbers. */
  isBroken?: boolean;
  /** Weights in a file beside the graph. */
  isExternal?: boolean;
  /** A second output, `sentence_embedding`: the largest number of each column. */
  hasOwnPooling?: boolean;
}

/** An ONNX file as exporters write it (int64 inputs): each token's hidden state is its own embedding, so texts that share words are near. */
export function writeBagModel(
  folder: string,
  {
    variant = "",
    dimensions = 24,
    seed = 3,
    isBroken = false,
    isExternal = false,
    hasOwnPooling = false,
  }: BagOptions = {},
): string {
  const file = variant === "" ? "model.onnx" : `model_${variant}.onnx`;
  const random = new Random(seed);
  const table = Float32Array.from({ length: vocabulary * dimensions }, () =>
    isBroken ? Number.NaN : random.next() - 0.5,
  );
  // Special tokens are in every text: they say nothing.
  table.fill(isBroken ? Number.NaN : 0.001, 0, 5 * dimensions);
  const tensor = (name: string, elemType: TensorProto_DataType, dims: (string | number)[]) => ({
    name,
    type: {
      value: {
        case: "tensorType" as const,
        value: {
          elemType,
          shape: {
            dim: dims.map((dim) => ({
              value:
                typeof dim === "string"
                  ? { case: "dimParam" as const, value: dim }
                  : { case: "dimValue" as const, value: BigInt(dim) },
            })),
          },
        },
      },
    },
  });
  const model = create(ModelProtoSchema, {
    irVersion: 10n,
    opsetImport: [{ domain: "", version: 17n }],
    graph: {
      name: "bag",
      input: ["input_ids", "attention_mask"].map((name) =>
        tensor(name, TensorProto_DataType.INT64, ["batch", "tokens"]),
      ),
      output: [
        tensor("last_hidden_state", TensorProto_DataType.FLOAT, ["batch", "tokens", dimensions]),
        ...(hasOwnPooling ? [tensor("sentence_embedding", TensorProto_DataType.FLOAT, ["batch", dimensions])] : []),
      ],
      initializer: [
        {
          name: "table",
          dataType: TensorProto_DataType.FLOAT,
          dims: [BigInt(vocabulary), BigInt(dimensions)],
          ...(isExternal
            ? {
                dataLocation: TensorProto_DataLocation.EXTERNAL,
                externalData: [{ key: "location", value: `${file}_data` }],
              }
            : { rawData: new Uint8Array(table.buffer) }),
        },
      ],
      node: [
        { opType: "Gather", input: ["table", "input_ids"], output: ["last_hidden_state"] },
        ...(hasOwnPooling
          ? [
              {
                opType: "ReduceMax",
                input: ["last_hidden_state"],
                output: ["sentence_embedding"],
                attribute: [
                  { name: "axes", type: AttributeProto_AttributeType.INTS, ints: [1n] },
                  { name: "keepdims", type: AttributeProto_AttributeType.INT, i: 0n },
                ],
              },
            ]
          : []),
      ],
    },
  });
  mkdirSync(path.join(folder, "onnx"), { recursive: true });
  writeFileSync(path.join(folder, "onnx", file), toBinary(ModelProtoSchema, model));
  if (isExternal) writeFileSync(path.join(folder, "onnx", `${file}_data`), new Uint8Array(table.buffer));
  writeJson(folder, "tokenizer.json", wordPiece.tokenizer);
  writeJson(folder, "config.json", { model_type: "bert", max_position_embeddings: 64, pad_token_id: 0 });
  return folder;
}

function writeJson(folder: string, name: string, value: unknown): void {
  writeFileSync(path.join(folder, name), JSON.stringify(value));
}
