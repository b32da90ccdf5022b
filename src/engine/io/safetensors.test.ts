import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { UserError } from "../../errors.js";
import { bfloat16ToFloat32, float16ToFloat32, float32ToBfloat16, float32ToFloat16 } from "./half-precision.js";
import { floatTypes, type FloatType, SafetensorsFile, writeSafetensors } from "./safetensors.js";

const folder = mkdtempSync(path.join(tmpdir(), "sleuth-safetensors-"));
afterAll(() => rmSync(folder, { recursive: true }));
const file = path.join(folder, "x.safetensors");

const tensors = [
  { name: "matrix", shape: [2, 3], data: Float32Array.of(1, -2.5, 0, 0.125, 1024, -7) },
  { name: "empty", shape: [0, 4], data: new Float32Array(0) },
  { name: "scalar", shape: [], data: Float32Array.of(3) },
];

/** A file with the given header and data. */
function write(header: unknown, dataLength: number): void {
  const text = Buffer.from(typeof header === "string" ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  writeFileSync(file, Buffer.concat([length, text, Buffer.alloc(dataLength)]));
}

const open = () => SafetensorsFile.open(file);

describe("safetensors", () => {
  it.each(floatTypes)("reads back what it wrote as %s", async (dtype) => {
    await writeSafetensors(file, tensors, { dtype, metadata: { format: "pt" } });
    const opened = await open();
    expect([...opened.tensors.keys()]).toEqual(["matrix", "empty", "scalar"]);
    expect(opened.metadata).toEqual({ format: "pt" });
    for (const { name, shape, data } of tensors) {
      expect(opened.tensors.get(name)).toMatchObject({ dtype, shape });
      expect(await opened.read(name)).toEqual(data);
    }
    const target = new Float32Array(8);
    await opened.read("matrix", target.subarray(1, 7));
    await expect(opened.read("matrix", target)).rejects.toThrow(/"matrix" has 6 numbers, but 8 are expected/);
    expect([...target]).toEqual([0, 1, -2.5, 0, 0.125, 1024, -7, 0]);
    await opened.close();
    const bytes = readFileSync(file);
    expect(Number(bytes.readBigUInt64LE()) % 8).toBe(0);
  });

  it.each(floatTypes)("reads and writes tensors of several chunks as %s", async (dtype: FloatType) => {
    const data = Float32Array.from({ length: 600_000 }, (_, i) => i % 251);
    await writeSafetensors(file, [{ name: "long", shape: [data.length], data }], { dtype });
    const opened = await open();
    expect(Buffer.compare(Buffer.from((await opened.read("long")).buffer), Buffer.from(data.buffer))).toBe(0);
    await opened.close();
  });

  it("refuses every truncation", async () => {
    await writeSafetensors(file, tensors);
    const bytes = readFileSync(file);
    for (let length = 0; length < bytes.length; length++) {
      writeFileSync(file, bytes.subarray(0, length));
      await expect(open()).rejects.toThrow(UserError);
    }
  });

  it.each([
    ["no JSON", "{nope", 0, /not valid JSON/],
    ["no object", "[1]", 0, /not a JSON object/],
    ["a field too many", { a: { dtype: "F32", shape: [1], data_offsets: [0, 4], x: 1 } }, 4, /"a" is malformed/],
    ["a negative size", { a: { dtype: "F32", shape: [-1], data_offsets: [0, 4] } }, 4, /"a" is malformed/],
    ["an unknown type", { a: { dtype: "F33", shape: [1], data_offsets: [0, 4] } }, 4, /unknown type F33/],
    ["a wrong size", { a: { dtype: "F32", shape: [2], data_offsets: [0, 4] } }, 4, /takes 8 bytes, but has 4/],
    ["bytes beyond the end", { a: { dtype: "F32", shape: [2], data_offsets: [0, 8] } }, 4, /"a" is cut off: 4 bytes/],
    ["bytes left over", { a: { dtype: "F32", shape: [1], data_offsets: [0, 4] } }, 6, /2 bytes at its end/],
    ["a gap", { a: { dtype: "F32", shape: [1], data_offsets: [4, 8] } }, 8, /gap of 4 bytes before tensor "a"/],
    [
      "an overlap",
      {
        a: { dtype: "F32", shape: [2], data_offsets: [0, 8] },
        b: { dtype: "F32", shape: [2], data_offsets: [4, 12] },
      },
      12,
      /"b" overlaps/,
    ],
    ["odd metadata", { __metadata__: { format: 1 } }, 0, /__metadata__/],
  ])("names %s", async (_, header, dataLength, message) => {
    write(header, dataLength);
    await expect(open()).rejects.toThrow(message);
    await expect(open()).rejects.toThrow(file);
  });

  it("refuses an absurd header, an absent file, an absent tensor and integers", async () => {
    writeFileSync(file, Buffer.alloc(64, 0x7f));
    await expect(open()).rejects.toThrow(/header claims/);
    await expect(SafetensorsFile.open(path.join(folder, "none"))).rejects.toThrow(/Cannot open/);
    write({ ids: { dtype: "I64", shape: [1], data_offsets: [0, 8] } }, 8);
    const opened = await open();
    await expect(opened.read("ids")).rejects.toThrow(/"ids" is of type I64/);
    await expect(opened.read("id")).rejects.toThrow(/no tensor "id"/);
    await opened.close();
  });
});

describe("half precision", () => {
  it("keeps every float16 and bfloat16 number", () => {
    const bits = Uint16Array.from({ length: 65536 }, (_, i) => i);
    const cases = [
      [float16ToFloat32, float32ToFloat16],
      [bfloat16ToFloat32, float32ToBfloat16],
    ] as const;
    for (const [widen, narrow] of cases) {
      const wide = new Float32Array(65536);
      const back = new Uint16Array(65536);
      widen(bits, wide);
      narrow(wide, back);
      const wrong = bits.filter((b) => back[b] !== b && !Number.isNaN(wide[b]));
      expect(wrong.length).toBe(0);
      expect(wide.filter((x) => Number.isNaN(x)).length).toBeGreaterThan(0);
    }
  });

  it("rounds to the nearest, ties to even", () => {
    const float16 = new Uint16Array(5);
    float32ToFloat16(Float32Array.of(1 + 2 ** -11, 1 + 3 * 2 ** -11, 65519.99, 65520, 2 ** -25), float16);
    expect([...float16]).toEqual([0x3c00, 0x3c02, 0x7bff, 0x7c00, 0]);
    fc.assert(
      fc.property(fc.float({ noNaN: true, noDefaultInfinity: true }), (x) => {
        const value = Float32Array.of(x);
        const bits = new Uint16Array(1);
        const neighbours = new Float32Array(3);
        float32ToBfloat16(value, bits);
        bfloat16ToFloat32(Uint16Array.of(bits[0] - 1, bits[0], bits[0] + 1), neighbours);
        const [below, here, above] = [...neighbours].map((n) => Math.abs(n - value[0]));
        if (Number.isFinite(here)) expect(here <= (below || Infinity) || here <= above).toBe(true);
      }),
    );
  });
});
