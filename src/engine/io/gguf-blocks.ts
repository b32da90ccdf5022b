/**
 * @file How GGUF packs numbers: blocks of 32 or 256 values with common scales (ggml's `block_q4_0` and the rest), and how each kind
 * becomes float32. A K-block holds 8 or 16 groups with 6- or 8-bit scales of their own.
 */
import { bfloat16ToFloat32, float16ToFloat32 } from "./half-precision.js";

/** One way to pack numbers. */
export interface BlockType {
  name: string;
  /** Values in a block; rows of a tensor are whole blocks. */
  values: number;
  /** Bytes of a block. */
  bytes: number;
  /** Unpacks whole blocks; `bytes` may lie anywhere in its buffer. */
  unpack(bytes: Uint8Array, target: Float32Array): void;
}

/** Every float16 as a number: scales are looked up, not computed. */
let halves: Float32Array | undefined;

function halfTable(): Float32Array {
  if (halves) return halves;
  halves = new Float32Array(65536);
  float16ToFloat32(
    Uint16Array.from({ length: 65536 }, (_, bits) => bits),
    halves,
  );
  return halves;
}

/** Unpacks one block: `at` is where its bytes begin, `to` where its values go. */
type UnpackBlock = (bytes: Uint8Array, at: number, target: Float32Array, to: number, half: Float32Array) => void;

function blocks(name: string, values: number, bytes: number, unpackBlock: UnpackBlock): BlockType {
  return {
    name,
    values,
    bytes,
    unpack(packed, target) {
      const half = halfTable();
      for (let at = 0, to = 0; to < target.length; at += bytes, to += values) unpackBlock(packed, at, target, to, half);
    },
  };
}

const scaleAt = (bytes: Uint8Array, at: number, half: Float32Array): number => half[bytes[at] | (bytes[at + 1] << 8)];
const signed = (byte: number): number => (byte << 24) >> 24;

/** Four bits each, the first 16 values in the low halves of 16 bytes and the other 16 in the high halves. */
function nibbles(headerBytes: number, unpackPair: (scale: number, least: number, bits: number) => number): UnpackBlock {
  return (bytes, at, target, to, half) => {
    const scale = scaleAt(bytes, at, half);
    const least = headerBytes === 4 ? scaleAt(bytes, at + 2, half) : 0;
    for (let index = 0; index < 16; index++) {
      const byte = bytes[at + headerBytes + index];
      target[to + index] = unpackPair(scale, least, byte & 15);
      target[to + 16 + index] = unpackPair(scale, least, byte >> 4);
    }
  };
}

/** As `nibbles`, with the fifth bits of the 32 values in four bytes before. */
function fiveBits(
  headerBytes: number,
  unpackPair: (scale: number, least: number, bits: number) => number,
): UnpackBlock {
  return (bytes, at, target, to, half) => {
    const scale = scaleAt(bytes, at, half);
    const least = headerBytes === 4 ? scaleAt(bytes, at + 2, half) : 0;
    const high = at + headerBytes;
    for (let index = 0; index < 16; index++) {
      const byte = bytes[high + 4 + index];
      const mask = 1 << (index & 7);
      const first = bytes[high + (index >> 3)] & mask ? 16 : 0;
      const second = bytes[high + 2 + (index >> 3)] & mask ? 16 : 0;
      target[to + index] = unpackPair(scale, least, (byte & 15) | first);
      target[to + 16 + index] = unpackPair(scale, least, (byte >> 4) | second);
    }
  };
}

/** Eight 6-bit scales and eight 6-bit minima in 12 bytes. */
function scaleOfGroup(bytes: Uint8Array, at: number, group: number): number {
  if (group < 4) return bytes[at + group] & 63;
  return (bytes[at + group + 4] & 15) | ((bytes[at + group - 4] >> 6) << 4);
}

function minimumOfGroup(bytes: Uint8Array, at: number, group: number): number {
  if (group < 4) return bytes[at + group + 4] & 63;
  return (bytes[at + group + 4] >> 4) | ((bytes[at + group] >> 6) << 4);
}

/** Eight groups of 32: two groups share 32 bytes, low halves first. `highAt` is where fifth bits stand, one bit plane per group. */
function kGroups(quantsAt: number, highAt?: number): UnpackBlock {
  return (bytes, at, target, to, half) => {
    const scale = scaleAt(bytes, at, half);
    const minimumScale = scaleAt(bytes, at + 2, half);
    for (let group = 0; group < 8; group++) {
      const groupScale = scale * scaleOfGroup(bytes, at + 4, group);
      const minimum = minimumScale * minimumOfGroup(bytes, at + 4, group);
      const from = at + quantsAt + (group >> 1) * 32;
      const shift = (group & 1) * 4;
      for (let index = 0; index < 32; index++) {
        const low = (bytes[from + index] >> shift) & 15;
        const high = highAt === undefined ? 0 : ((bytes[at + highAt + index] >> group) & 1) << 4;
        target[to + group * 32 + index] = groupScale * (low | high) - minimum;
      }
    }
  };
}

/** Sixteen groups of 16 with 8-bit scales: four low bits in 128 bytes, two high bits in 64. */
const sixBits: UnpackBlock = (bytes, at, target, to, half) => {
  const scale = scaleAt(bytes, at + 208, half);
  for (let index = 0; index < 256; index++) {
    const side = index >> 7;
    const quarter = (index >> 5) & 3;
    const place = index & 31;
    const low = (bytes[at + side * 64 + (quarter & 1) * 32 + place] >> ((quarter >> 1) * 4)) & 15;
    const high = (bytes[at + 128 + side * 32 + place] >> (quarter * 2)) & 3;
    const groupScale = scale * signed(bytes[at + 192 + (index >> 4)]);
    target[to + index] = groupScale * ((low | (high << 4)) - 32);
  }
};

const aroundZero = (half: number) => (scale: number, _: number, bits: number) => scale * (bits - half);
const fromLeast = (scale: number, least: number, bits: number) => scale * bits + least;

/** Numbers that need no unpacking beyond their type. */
function plain(name: string, bytes: 2 | 4, convert: (bits: Uint16Array, target: Float32Array) => void): BlockType {
  return {
    name,
    values: 1,
    bytes,
    unpack(packed, target) {
      if (bytes === 4) new Uint8Array(target.buffer, target.byteOffset, target.byteLength).set(packed);
      else convert(new Uint16Array(packed.slice().buffer), target);
    },
  };
}

/** By ggml's number of the type. */
export const blockTypes: ReadonlyMap<number, BlockType> = new Map([
  [0, plain("F32", 4, () => {})],
  [1, plain("F16", 2, float16ToFloat32)],
  [2, blocks("Q4_0", 32, 18, nibbles(2, aroundZero(8)))],
  [3, blocks("Q4_1", 32, 20, nibbles(4, fromLeast))],
  [6, blocks("Q5_0", 32, 22, fiveBits(2, aroundZero(16)))],
  [7, blocks("Q5_1", 32, 24, fiveBits(4, fromLeast))],
  [
    8,
    blocks("Q8_0", 32, 34, (bytes, at, target, to, half) => {
      const scale = scaleAt(bytes, at, half);
      for (let index = 0; index < 32; index++) target[to + index] = scale * signed(bytes[at + 2 + index]);
    }),
  ],
  [12, blocks("Q4_K", 256, 144, kGroups(16))],
  [13, blocks("Q5_K", 256, 176, kGroups(48, 16))],
  [14, blocks("Q6_K", 256, 210, sixBits)],
  [30, plain("BF16", 2, bfloat16ToFloat32)],
]);
