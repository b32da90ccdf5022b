/** @file What can happen to a file: bits flip, pieces are lost or repeated, values change their type, and somebody writes it who means harm. */
import type { Random } from "../../src/random.js";

/** A damaged file; `folder`: one stands in its place; `missing`: nothing does. */
export type Damaged = Uint8Array | "folder" | "missing";

interface Original {
  bytes: Buffer;
  /** Contents of other files, which may take its place. */
  others: readonly Uint8Array[];
}

type Mutation = (original: Original, random: Random) => Damaged;

const onBytes: readonly Mutation[] = [
  flipBits,
  flipBits,
  cut,
  cut,
  ({ bytes }, random) => bytes.subarray(random.integer(bytes.length + 1)),
  repeatRange,
  removeRange,
  overwriteRange,
  insertBytes,
  replaceNumber,
  ({ others, bytes }, random) => (others.length === 0 ? bytes.subarray(1) : random.choice(others)),
];
const onText: readonly Mutation[] = [replaceDigits, replaceDigits, ...onBytes.slice(0, 4)];
const rare: readonly Mutation[] = [() => new Uint8Array(0), () => "folder", () => "missing"];

/** Damages a file in one way that the random numbers choose. */
export function mutate(bytes: Buffer, others: readonly Uint8Array[], random: Random): Damaged {
  const original = { bytes, others };
  if (random.integer(40) === 0) return random.choice(rare)(original, random);
  const text = random.integer(4) === 0 ? undefined : textOf(bytes);
  if (text === undefined || bytes.length === 0) return random.choice(onBytes)(original, random);
  return mutateJson(text, random) ?? random.choice(onText)(original, random);
}

function textOf(bytes: Buffer): string | undefined {
  const text = bytes.toString("utf8");
  return text.includes("\ufffd") || text.includes("\0") ? undefined : text;
}

/** Half-open range of a file. */
function rangeIn(bytes: Buffer, random: Random): [number, number] {
  const start = random.integer(bytes.length);
  const most = random.integer(3) === 0 ? bytes.length : 64;
  return [start, Math.min(bytes.length, start + 1 + random.integer(most))];
}

function flipBits({ bytes }: Original, random: Random): Uint8Array {
  const copy = Buffer.from(bytes);
  for (let count = 1 + random.integer(8); count > 0 && copy.length > 0; count--)
    copy[random.integer(copy.length)] ^= 1 << random.integer(8);
  return copy;
}

function cut({ bytes }: Original, random: Random): Uint8Array {
  return bytes.subarray(0, random.integer(bytes.length + 1));
}

function repeatRange({ bytes }: Original, random: Random): Uint8Array {
  const [start, end] = rangeIn(bytes, random);
  return Buffer.concat([bytes.subarray(0, end), bytes.subarray(start, end), bytes.subarray(end)]);
}

function removeRange({ bytes }: Original, random: Random): Uint8Array {
  const [start, end] = rangeIn(bytes, random);
  return Buffer.concat([bytes.subarray(0, start), bytes.subarray(end)]);
}

function overwriteRange({ bytes }: Original, random: Random): Uint8Array {
  const copy = Buffer.from(bytes);
  const [start, end] = rangeIn(copy, random);
  const kind = random.integer(3);
  for (let at = start; at < end; at++) copy[at] = kind === 0 ? 0 : kind === 1 ? 0xff : random.integer(256);
  return copy;
}

function insertBytes({ bytes }: Original, random: Random): Uint8Array {
  const at = random.integer(bytes.length + 1);
  const inserted = Uint8Array.from({ length: 1 + random.integer(16) }, () => random.integer(256));
  return Buffer.concat([bytes.subarray(0, at), inserted, bytes.subarray(at)]);
}

const extremes = [0n, 1n, 0x7fn, 0xffn, 0x7fffn, 0xffffn, 0x7fffffffn, 0x80000000n, 0xffffffffn];
const wideExtremes = [
  ...extremes,
  1n << 40n,
  (1n << 53n) - 1n,
  1n << 53n,
  (1n << 63n) - 1n,
  1n << 63n,
  (1n << 64n) - 1n,
];

/** Four or eight bytes, often where a number stands, become an extreme one. Headers come first, so beginnings are chosen more often. */
function replaceNumber({ bytes }: Original, random: Random): Uint8Array {
  const copy = Buffer.from(bytes);
  if (copy.length < 8) return copy.subarray(1);
  const range = random.integer(2) === 0 ? Math.min(copy.length, 512) : copy.length;
  const at = Math.min(copy.length - 8, random.integer(range));
  if (random.integer(2) === 0) copy.writeBigUInt64LE(random.choice(wideExtremes), at);
  else copy.writeUInt32LE(Number(random.choice(extremes)), at);
  return copy;
}

const numbers = [
  "0",
  "-1",
  "1",
  "0.5",
  "1e308",
  "-1e308",
  "1e999",
  "9007199254740993",
  "4294967296",
  "99999999999999999999",
  "1e-320",
];

/** A number of a text becomes an extreme one. */
function replaceDigits(original: Original, random: Random): Uint8Array {
  const text = original.bytes.toString("utf8");
  const found = [...text.matchAll(/-?\d+(\.\d+)?(e[+-]?\d+)?/gi)];
  if (found.length === 0) return flipBits(original, random);
  const { index, 0: old } = random.choice(found);
  return Buffer.from(text.slice(0, index) + random.choice(numbers) + text.slice(index + old.length));
}

/** A JSON file, or one line of a JSONL file, with another value somewhere; undefined for other texts. */
function mutateJson(text: string, random: Random): Uint8Array | undefined {
  if (!/^\s*[[{]/.test(text)) return undefined;
  const whole = parsed(text);
  if (whole !== undefined) return Buffer.from(mutatedJson(whole, random));
  const lines = text.split("\n");
  const places = lines.flatMap((line, index) => (line === "" ? [] : [index]));
  const place = random.choice(places);
  const value = parsed(lines[place]);
  if (value === undefined) return undefined;
  lines[place] = mutatedJson(value, random);
  return Buffer.from(lines.join("\n"));
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** Stands for what `JSON.stringify` cannot write. */
const placeholder = "\u0001fuzz\u0001";

function mutatedJson(value: unknown, random: Random): string {
  const holders = [...holdersIn(value)];
  if (holders.length === 0) return strange(random);
  // Two places now and then: checks of one field lean on another.
  let inserted = "null";
  for (let count = random.integer(4) === 0 ? 2 : 1; count > 0; count--) {
    const [holder, key] = random.choice(holders);
    const own = holder as Record<string, unknown>;
    switch (random.integer(6)) {
      case 0:
        if (Array.isArray(holder)) holder.splice(Number(key), 1);
        else delete own[key];
        break;
      case 1: {
        const [other, otherKey] = random.choice(holders);
        own[key] = structuredClone((other as Record<string, unknown>)[otherKey]);
        break;
      }
      default:
        inserted = strange(random);
        own[key] = placeholder;
    }
  }
  return JSON.stringify(value).replaceAll(JSON.stringify(placeholder), () => inserted);
}

/** Every place of a JSON value: what holds it, and its key. Of long lists the first 50. */
function* holdersIn(value: unknown): Generator<[object, string]> {
  if (typeof value !== "object" || value === null) return;
  for (const [key, inner] of Object.entries(value).slice(0, 50)) {
    yield [value, key];
    yield* holdersIn(inner);
  }
}

/** JSON of another type or size than anything expects. */
function strange(random: Random): string {
  const depth = 20_000;
  return random.choice([
    ...numbers,
    ...["null", "true", "false", '""', "[]", "{}", "[[]]", "[null]", '{"a":null}', '"a"', '["a","a"]', "[1,2,3]"],
    ...[
      '"../../x"',
      '"/etc/hostname"',
      '"a\\u0000b"',
      '"\\ud800"',
      '"\\u001b[2J"',
      '{"__proto__":{"a":1}}',
      '"NaN"',
      '"("',
    ],
    ...['{"type":"Sequence"}', '{"constructor":1,"toString":1}', "[[[1]]]", '{"0":1,"length":3}'],
    `"${"x".repeat(10_000)}"`,
    "[".repeat(depth) + "]".repeat(depth),
    '{"a":'.repeat(depth) + "1" + "}".repeat(depth),
  ]);
}
