/**
 * @file Jinja as Hugging Face transformers runs it, within a budget. `@huggingface/jinja` interprets; here is what it does otherwise than
 * Python: line ends, `strip` with an argument, and how Python writes True, None, numbers, lists and dictionaries. And a template is a
 * stranger's program: its steps, its values and its time are limited.
 */
import { Environment, Interpreter, parse, tokenize } from "@huggingface/jinja";
import { withTimeLimit } from "./time-limit.js";

/** What one rendering may take. */
export interface TemplateBudget {
  /** Nodes of the program that are evaluated, each as often as it is; large values count more. */
  steps: number;
  /** Of one string or list, with all that it holds, beyond what is handed in. */
  characters: number;
  milliseconds: number;
}

/** TRL's templates take up to 1,700 steps for five messages with tools. 300,000 steps take about a second. */
export const defaultBudget: TemplateBudget = { steps: 300_000, characters: 1_000_000, milliseconds: 5000 };

/** The library's syntax tree and values, as far as they are looked at; its own types do not resolve for NodeNext. */
interface Node {
  type: string;
  value?: unknown;
  operator?: { value: string };
  left?: Node;
  right?: Node;
  callee?: Node;
  object?: Node;
  property?: Node;
  computed?: boolean;
  operand?: Node;
  filter?: Node;
  args?: Node[];
  iterable?: Node;
  lhs?: Node;
  /** Of a node of type `Evaluated`. */
  result?: Value;
}
interface Value {
  type: string;
  value: unknown;
}

/** The library's `Environment`. */
interface Scope {
  variables: Map<string, Value>;
  set(name: string, value: unknown): Value;
}

export interface JinjaProgram {
  tree: Node;
  /** Nodes whose value is written into the text: `{{ … }}`. */
  outputs: ReadonlySet<Node>;
  /** Every name in it. */
  names: ReadonlySet<string>;
}

/**
 * Reads a template.
 * @throws Error of the library where it is no Jinja; OutOfTime
 */
export function readJinja(source: string, budget: TemplateBudget = defaultBudget): JinjaProgram {
  return withTimeLimit(budget.milliseconds, () => {
    // Jinja's newline_sequence: whatever ends a line in the template is written "\n".
    const text = source.replace(/\r\n?/g, "\n");
    const tree = parse(tokenize(text, { lstrip_blocks: true, trim_blocks: true })) as Node;
    const outputs = new Set<Node>();
    const names = new Set<string>();
    visit(tree, outputs, names);
    return { tree, outputs, names };
  });
}

/** What stands in a block and is no expression. */
const statements = new Set("Program Set If For Macro CallStatement FilterStatement Break Continue Comment".split(" "));
const blocks = new Set(["body", "alternate", "defaultBlock"]);

function visit(node: unknown, outputs: Set<Node>, names: Set<string>): void {
  if (node instanceof Map) {
    for (const [key, value] of node as Map<unknown, unknown>)
      [key, value].forEach((each) => visit(each, outputs, names));
    return;
  }
  if (typeof node !== "object" || node === null) return;
  const { type, value } = node as Node;
  if (type === "Identifier" && typeof value === "string") names.add(value);
  for (const [field, child] of Object.entries(node)) {
    const children: unknown[] = Array.isArray(child) ? child : [child];
    for (const each of children) {
      if (blocks.has(field) && Array.isArray(child) && !statements.has((each as Node).type)) outputs.add(each as Node);
      visit(each, outputs, names);
    }
  }
}

/**
 * Runs a template.
 * @param variables all that it finds, functions included
 * @throws Error where the template goes wrong or spends more than its budget (OverBudget; of time: OutOfTime)
 */
export function runJinja(
  { tree, outputs }: JinjaProgram,
  variables: Readonly<Record<string, unknown>>,
  budget: TemplateBudget = defaultBudget,
): string {
  const environment = new Environment() as Scope;
  for (const [name, value] of Object.entries(variables)) environment.set(name, value);
  const interpreter = new PythonInterpreter(environment, outputs, budget);
  return withTimeLimit(budget.milliseconds, () => String(interpreter.run(tree).value));
}

/** A template took more steps, or made a larger value, than it may. */
export class OverBudget extends Error {}

/** Reading a variable makes nothing new. */
const makesNothing = new Set(["Identifier", "StringLiteral", "MemberExpression"]);

const LibraryInterpreter = Interpreter as unknown as new (environment: Scope) => {
  run(tree: Node): Value;
  evaluate(node: Node | undefined, environment: Scope): Value;
};

/** The library's interpreter, with Python's ways and a budget. Everything that a template does goes through `evaluate`. */
class PythonInterpreter extends LibraryInterpreter {
  readonly #outputs: ReadonlySet<Node>;
  readonly #mostSteps: number;
  readonly #mostCharacters: number;
  readonly #sizes = new WeakMap<object, number>();
  #steps = 0;

  constructor(environment: Scope, outputs: ReadonlySet<Node>, { steps, characters }: TemplateBudget) {
    super(environment);
    this.#outputs = outputs;
    this.#mostSteps = this.#mostCharacters = Infinity;
    // What is handed in may be read, and written out.
    const given = [...environment.variables.values()].reduce((sum, value) => sum + this.#size(value), 0);
    this.#mostCharacters = characters + 4 * given;
    this.#steps = 0;
    this.#mostSteps = steps;
  }

  override evaluate(node: Node | undefined, environment: Scope): Value {
    this.#spend(1);
    if (node?.result !== undefined) return node.result;
    if (node === undefined) return super.evaluate(node, environment);
    const value = this.#evaluatePython(node, environment) ?? super.evaluate(node, environment);
    const shown = this.#outputs.has(node) && !isText(value) ? makeString(pythonText(value)) : value;
    if (typeof shown.value === "string" && !makesNothing.has(node.type)) this.#spend(shown.value.length >> 7);
    this.#size(shown);
    return shown;
  }

  /** What Python does and the library does not; undefined where they agree. */
  #evaluatePython(node: Node, environment: Scope): Value | undefined {
    const text = (of: Node | undefined): string => pythonText(this.evaluate(of, environment));
    if (node.type === "BinaryExpression") return this.#evaluateOperator(node, environment);
    if (node.type === "For") return this.#evaluateLoop(node, environment);
    if (node.type === "CallExpression" && node.callee?.type === "MemberExpression" && node.callee.computed !== true) {
      const method = String(node.callee.property?.value);
      if (!Object.hasOwn(sides, method)) return undefined;
      const object = this.evaluate(node.callee.object, environment);
      if (object.type !== "StringValue") return undefined;
      return makeString(strip(object.value as string, sides[method], this.#characters(node.args, environment)));
    }
    if (node.type === "FilterExpression") {
      const name = (node.filter?.type === "CallExpression" ? node.filter.callee : node.filter)?.value;
      if (name === "string") return makeString(text(node.operand));
      if (name !== "trim") return undefined;
      return makeString(strip(text(node.operand), sides.strip, this.#characters(node.filter?.args, environment)));
    }
    return undefined;
  }

  #evaluateOperator(node: Node, environment: Scope): Value | undefined {
    const operator = node.operator?.value ?? "";
    if (!["~", "+", "==", "!="].includes(operator)) return undefined;
    const [left, right] = [node.left, node.right].map((side) => this.evaluate(side, environment));
    if (operator === "~") return makeString(pythonText(left) + pythonText(right));
    if (operator !== "+") return makeValue(isEqual(left, right) === (operator === "=="));
    if ((left.type === "StringValue") !== (right.type === "StringValue")) {
      throw new Error(
        `a text and a value of type ${left.type === "StringValue" ? right.type : left.type} cannot be added`,
      );
    }
    return super.evaluate({ ...node, left: evaluated(left), right: evaluated(right) }, environment);
  }

  /** A loop over a text goes through its characters. */
  #evaluateLoop(node: Node, environment: Scope): Value | undefined {
    const { iterable } = node;
    const isFiltered = iterable?.type === "SelectExpression";
    const over = this.evaluate(isFiltered ? iterable.lhs : iterable, environment);
    const list = evaluated(over.type === "StringValue" ? makeValue([...(over.value as string)]) : over);
    return super.evaluate({ ...node, iterable: isFiltered ? { ...iterable, lhs: list } : list }, environment);
  }

  /** The one argument of `strip`: the characters that go; undefined for white space. */
  #characters(args: readonly Node[] = [], environment: Scope): string | undefined {
    if (args.length === 0) return undefined;
    const [{ type, value }] = args;
    const given = this.evaluate(type === "KeywordArgumentExpression" ? (value as Node) : args[0], environment);
    if (given.type === "NullValue") return undefined;
    if (given.type !== "StringValue") throw new Error("strip arg must be None or str");
    return given.value as string;
  }

  #spend(steps: number): void {
    this.#steps += steps;
    if (this.#steps > this.#mostSteps) {
      throw new OverBudget(`it takes more than ${this.#mostSteps} steps, as a loop without an end would`);
    }
  }

  /** Characters of a value, and of all that it holds, as often as it holds it. */
  #size(of: Value): number {
    const { value } = of;
    if (typeof value === "string") return this.#allowed(value.length + 1);
    const children = Array.isArray(value) ? (value as Value[]) : value instanceof Map ? valuesIn(of) : undefined;
    if (children === undefined) return 1;
    const known = this.#sizes.get(of);
    if (known !== undefined) return known;
    this.#spend(children.length);
    let size = 1;
    for (const child of children) size += this.#size(child);
    this.#sizes.set(of, size);
    return this.#allowed(size);
  }

  #allowed(size: number): number {
    if (size <= this.#mostCharacters) return size;
    throw new OverBudget(`it makes a value of more than ${this.#mostCharacters} characters`);
  }
}

/** The library does not export its values' classes. */
function makeValue(of: unknown): Value {
  return (new Environment() as Scope).set("value", of);
}

const { constructor: StringValue } = makeValue("") as unknown as { constructor: new (text: string) => Value };

function makeString(text: string): Value {
  return new StringValue(text);
}

function evaluated(result: Value): Node {
  return { type: "Evaluated", result };
}

const numbers = new Set(["IntegerValue", "FloatValue", "BooleanValue"]);

/** Python's `==`. */
function isEqual(a: Value, b: Value): boolean {
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

/** A namespace changes, and may hold itself: it is not looked into. */
function valuesIn({ type, value }: Value): Value[] | undefined {
  return type === "NamespaceValue" ? undefined : [...(value as Map<string, Value>).values()];
}

function isText({ type }: Value): boolean {
  return type === "StringValue" || type === "UndefinedValue";
}

const sides: Readonly<Record<string, { start: boolean; end: boolean }>> = {
  strip: { start: true, end: true },
  lstrip: { start: true, end: false },
  rstrip: { start: false, end: true },
};

/** What `str.isspace` says yes to. JavaScript's `trim` knows U+FEFF instead of U+001C to U+001F and U+0085. */
const pythonSpace = /[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/;

/** Python's `strip`. */
function strip(text: string, { start, end }: { start: boolean; end: boolean }, characters?: string): string {
  const points = [...text];
  const set = characters === undefined ? undefined : new Set(characters);
  const goes = (point: string): boolean => set?.has(point) ?? pythonSpace.test(point);
  let from = 0;
  let to = points.length;
  while (start && from < to && goes(points[from])) from++;
  while (end && to > from && goes(points[to - 1])) to--;
  return points.slice(from, to).join("");
}

/** Python's `str`. */
function pythonText(value: Value): string {
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
