/** @file Values of Jinja programs as Python compares, strips and writes them: True, None, numbers, lists, tuples and dictionaries. */
import { Environment } from "@huggingface/jinja";
import { pythonSpace } from "../../python-space.js";

/** A value of the library, as far as it is looked at; its own types do not resolve for NodeNext. */
export interface Value {
  type: string;
  value: unknown;
}

/** The library's `Environment`. */
export interface Scope {
  variables: Map<string, Value>;
  set(name: string, value: unknown): Value;
}

/** A value of the library, which does not export its values' classes. */
export function makeValue(of: unknown): Value {
  return (new Environment() as Scope).set("value", of);
}

const { constructor: StringValue } = makeValue("") as unknown as { constructor: new (text: string) => Value };

/** A text as a value of the library. */
export function makeString(text: string): Value {
  return new StringValue(text);
}

const numbers = new Set(["IntegerValue", "FloatValue", "BooleanValue"]);

/** Python's `==`. */
export function isEqual(a: Value, b: Value): boolean {
  if (numbers.has(a.type) && numbers.has(b.type)) return Number(a.value) === Number(b.value);
  if (a.type !== b.type) return false;
  if (Array.isArray(a.value)) {
    const [left, right] = [a.value, b.value] as Value[][];
    return left.length === right.length && left.every((item, index) => isEqual(item, right[index]));
  }
  if (a.type !== "ObjectValue") return a.value === b.value;
  const [left, right] = [a.value, b.value] as Map<string, Value>[];
  const isSame = ([key, value]: [string, Value]): boolean => {
    const other = right.get(key);
    return other !== undefined && isEqual(value, other);
  };
  return left.size === right.size && [...left].every(isSame);
}

/** What is written out as it stands: texts, and nothing for what is undefined. */
export function isText({ type }: Value): boolean {
  return type === "StringValue" || type === "UndefinedValue";
}

/** The ends of a text from which each of Python's methods takes. */
export const sides: Readonly<Record<string, { start: boolean; end: boolean }>> = {
  strip: { start: true, end: true },
  lstrip: { start: true, end: false },
  rstrip: { start: false, end: true },
};

const space = new RegExp(pythonSpace);

/** Python's `strip`, `lstrip` and `rstrip`: white space goes, or the `characters` given. */
export function strip(text: string, { start, end }: { start: boolean; end: boolean }, characters?: string): string {
  const points = [...text];
  const set = characters === undefined ? undefined : new Set(characters);
  const goes = (point: string): boolean => set?.has(point) ?? space.test(point);
  let from = 0;
  let to = points.length;
  while (start && from < to && goes(points[from])) from++;
  while (end && to > from && goes(points[to - 1])) to--;
  return points.slice(from, to).join("");
}

/** Python's `str`, and nothing for what is undefined. */
export function pythonText(value: Value): string {
  if (value.type === "UndefinedValue") return "";
  return value.type === "StringValue" ? (value.value as string) : repr(value);
}

function repr({ type, value }: Value): string {
  const list = (): string[] => (value as Value[]).map(repr);
  switch (type) {
    case "StringValue":
      return reprString(value as string);
    case "BooleanValue":
      return value === true ? "True" : "False";
    case "NullValue":
      return "None";
    case "UndefinedValue":
      return "Undefined";
    case "FloatValue":
      return reprFloat(value as number);
    case "ArrayValue":
      return `[${list().join(", ")}]`;
    case "TupleValue":
      return `(${list().join(", ")}${(value as Value[]).length === 1 ? "," : ""})`;
    case "ObjectValue":
    case "KeywordArgumentsValue":
      return `{${[...(value as Map<string, Value>)].map(([key, each]) => `${reprString(key)}: ${repr(each)}`).join(", ")}}`;
    case "IntegerValue":
      return String(value);
    default:
      return `<${type}>`;
  }
}

function reprString(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const named: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\" };
  const hex = (point: string): string => {
    const code = point.codePointAt(0) as number;
    const [letter, digits] = code < 0x100 ? ["x", 2] : code < 0x10000 ? ["u", 4] : ["U", 8];
    return `\\${letter}${code.toString(16).padStart(digits as number, "0")}`;
  };
  // Python escapes what cannot be printed: controls, unassigned points, and spaces other than U+0020.
  const escaped = text.replace(/[\\'"]|(?! )[\p{C}\p{Z}]/gu, (point) => {
    if (point === "'" || point === '"') return point === quote ? `\\${point}` : point;
    return named[point] ?? hex(point);
  });
  return quote + escaped + quote;
}

function reprFloat(value: number): string {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  if (Object.is(value, -0)) return "-0.0";
  const [digits, exponent = "0"] = value.toExponential().split("e");
  const power = Number(exponent);
  if (value !== 0 && (power < -4 || power >= 16)) {
    return `${digits}e${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}`;
  }
  const text = value.toString();
  if (text.includes("e")) return value.toFixed(Math.max(1, digits.length - 2 - power));
  return text.includes(".") ? text : `${text}.0`;
}
