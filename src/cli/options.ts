/** @file Options of the command line made from fields of settings: what a field says of its type, bounds and meaning is not said again. */
import { InvalidArgumentError, Option } from "commander";
import { z } from "zod";

interface OptionWords {
  /** What stands for the value in help pages. Default `number`, `text` or, where there are choices, `choice`. */
  argument?: string;
  /** Default: the field's description. */
  help?: string;
}

/**
 * The option of a field: `--rerank-from <number>` for `rerankFrom`. Its value is read as the field's type, and refused outside of the field's
 * bounds. The option has no default: the code that completes the settings fills it in.
 * @param field text, a number, a switch, an enum, or one of the latter with `"auto"`
 */
export function optionOf(
  key: string,
  field: z.ZodType,
  { argument, help = field.description }: OptionWords = {},
): Option {
  const flag = `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  const shape = z.toJSONSchema(field, { io: "input" }) as Shape;
  const choices = choicesOf(shape);
  if (shape.type === "boolean") return new Option(flag, help);
  if (shape.type === "string" && choices === undefined) return new Option(`${flag} <${argument ?? "text"}>`, help);
  if (choices !== undefined) return new Option(`${flag} <${argument ?? "choice"}>`, help).choices(choices);
  return new Option(`${flag} <${argument ?? "number"}>`, help).argParser((text: string) => read(field, shape, text));
}

/** The parts of a JSON schema that options look at. */
interface Shape {
  type?: string;
  enum?: string[];
  const?: unknown;
  anyOf?: Shape[];
  minimum?: number;
  exclusiveMinimum?: number;
  maximum?: number;
  exclusiveMaximum?: number;
}

function choicesOf({ enum: choices, anyOf = [] }: Shape): string[] | undefined {
  if (choices !== undefined) return choices;
  const all = anyOf.map(({ const: one, enum: some }) => (typeof one === "string" ? [one] : some));
  return all.length > 0 && all.every((some) => some !== undefined) ? all.flat() : undefined;
}

function read(field: z.ZodType, shape: Shape, text: string): unknown {
  const given = readings(text).find((value) => field.safeParse(value).success);
  if (given === undefined) throw new InvalidArgumentError(`Expected ${expected(shape)}.`);
  return given;
}

/** What a text may mean: itself, a number, true or false. */
function readings(text: string): unknown[] {
  const number = text.trim() === "" ? Number.NaN : Number(text);
  return [text, number, ...(text === "true" || text === "false" ? [text === "true"] : [])];
}

/** For people: "an integer of at least 1", "auto or a number from 0 to 1". */
function expected(shape: Shape): string {
  if (shape.anyOf !== undefined) return shape.anyOf.map(expected).join(" or ");
  if (shape.const !== undefined) return String(shape.const);
  if (shape.enum !== undefined) return shape.enum.join(", ");
  if (shape.type === "boolean") return "true or false";
  return (shape.type === "integer" ? "an integer" : "a number") + boundsOf(shape);
}

function boundsOf({ type, minimum, exclusiveMinimum, maximum, exclusiveMaximum }: Shape): string {
  const least = type === "integer" && exclusiveMinimum !== undefined ? exclusiveMinimum + 1 : minimum;
  const isSafe = (bound?: number): bound is number => bound !== undefined && Math.abs(bound) < Number.MAX_SAFE_INTEGER;
  if (isSafe(least) && isSafe(maximum)) return ` from ${least} to ${maximum}`;
  const lower = isSafe(least) ? ` of at least ${least}` : isSafe(exclusiveMinimum) ? ` above ${exclusiveMinimum}` : "";
  if (isSafe(maximum)) return `${lower}${lower === "" ? " of" : " and"} at most ${maximum}`;
  return isSafe(exclusiveMaximum) ? `${lower}${lower === "" ? "" : " and"} below ${exclusiveMaximum}` : lower;
}
