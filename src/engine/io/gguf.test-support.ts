/** @file GGUF files with anything in them, for tests. */
import { readFileSync, writeFileSync } from "node:fs";
import { gguf, GGUFValueType } from "@huggingface/gguf";

export interface TestTensor {
  name: string;
  /** As the file counts: the fastest axis first. */
  shape: number[];
  /** ggml's number of the type. */
  type: number;
  data: Uint8Array;
}

export interface TestGguf {
  metadata: Record<string, { type: number; subType?: number; value: unknown }>;
  tensors: TestTensor[];
}

/** A file taken apart. */
export async function readTestGguf(file: string): Promise<TestGguf> {
  const parsed = await gguf(file, { allowLocalFile: true, typedMetadata: true });
  const bytes = readFileSync(file);
  const places = parsed.tensorInfos.map(({ offset }) => Number(parsed.tensorDataOffset + offset));
  const ends = [...places, bytes.length].sort((a, b) => a - b);
  const tensors = parsed.tensorInfos.map(({ name, shape, dtype }, index) => ({
    name,
    shape: shape.map(Number),
    type: dtype as number,
    data: new Uint8Array(bytes.subarray(places[index], ends[ends.indexOf(places[index]) + 1])),
  }));
  const counted = ["version", "tensor_count", "kv_count"];
  const fields = Object.entries(parsed.typedMetadata).filter(([key]) => !counted.includes(key));
  return { metadata: Object.fromEntries(fields) as TestGguf["metadata"], tensors };
}

/** The bytes of such a file. `offsets` overrides where tensors are said to lie. */
export function testGgufBytes({ metadata, tensors }: TestGguf, offsets: Record<string, number> = {}): Uint8Array {
  const parts: Uint8Array[] = [];
  const u32 = (value: number) => parts.push(new Uint8Array(Uint32Array.of(value).buffer));
  const u64 = (value: number) => parts.push(new Uint8Array(BigUint64Array.of(BigInt(value)).buffer));
  const text = (value: string) => {
    const bytes = Buffer.from(value);
    u64(bytes.length);
    parts.push(bytes);
  };
  const write = (type: number, value: unknown, subType?: number): void => {
    const numbers: Record<number, () => Uint8Array> = {
      [GGUFValueType.UINT32]: () => new Uint8Array(Uint32Array.of(Number(value)).buffer),
      [GGUFValueType.INT32]: () => new Uint8Array(Int32Array.of(Number(value)).buffer),
      [GGUFValueType.FLOAT32]: () => new Uint8Array(Float32Array.of(Number(value)).buffer),
      [GGUFValueType.UINT64]: () => new Uint8Array(BigUint64Array.of(BigInt(value as number)).buffer),
      [GGUFValueType.BOOL]: () => Uint8Array.of(value ? 1 : 0),
    };
    if (type === (GGUFValueType.STRING as number)) return text(value as string);
    if (type !== (GGUFValueType.ARRAY as number)) return void parts.push(numbers[type]());
    u32(subType as number);
    u64((value as unknown[]).length);
    for (const item of value as unknown[]) write(subType as number, item);
  };
  parts.push(Buffer.from("GGUF"));
  u32(3);
  u64(tensors.length);
  u64(Object.keys(metadata).length);
  for (const [key, { type, value, subType }] of Object.entries(metadata)) {
    text(key);
    u32(type);
    write(type, value, subType);
  }
  let offset = 0;
  for (const { name, shape, type, data } of tensors) {
    text(name);
    u32(shape.length);
    shape.forEach(u64);
    u32(type);
    u64(offsets[name] ?? offset);
    offset += Math.ceil(data.length / 32) * 32;
  }
  const pad = (to: number): void => {
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    parts.push(new Uint8Array(Math.ceil(length / to) * to - length));
  };
  pad(32);
  for (const { data } of tensors) {
    parts.push(data);
    pad(32);
  }
  return Buffer.concat(parts);
}

export function writeTestGguf(file: string, content: TestGguf, offsets?: Record<string, number>): void {
  writeFileSync(file, testGgufBytes(content, offsets));
}
