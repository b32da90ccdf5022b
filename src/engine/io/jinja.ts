/**
 * @file Jinja as Hugging Face transformers runs it, within a budget. `@huggingface/jinja` interprets; here is what it does otherwise than
 * Python: line ends, operators, loops over texts, `strip` with an argument. And a template is a stranger's program: its steps, its values and
 * its time are limited.
 */
import { Environment, Interpreter, parse, tokenize } from "@huggingface/jinja";
import {
  isEqual,
  isText,
  makeString,
  makeValue,
  pythonText,
  sides,
  strip,
  type Scope,
  type Value,
} from "./jinja-values.js";
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

/** The library's syntax tree, as far as it is looked at; its own types do not resolve for NodeNext. */
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

/** A template that has been read. */
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

function evaluated(result: Value): Node {
  return { type: "Evaluated", result };
}

/** A namespace changes, and may hold itself: it is not looked into. */
function valuesIn({ type, value }: Value): Value[] | undefined {
  return type === "NamespaceValue" ? undefined : [...(value as Map<string, Value>).values()];
}
