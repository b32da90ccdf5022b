/**
 * @file The map of `src/README.md`: imports point downward, with two joints. An arrow that the map lacks fails here, and so does a circle of
 * files.
 */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { describe, expect, it } from "vitest";

/**
 * What each folder may import, in the order in which a question travels. Arrows point downward; `rollout` joins policy, prompts and
 * search; `train` joins everything; `cli` and `recipes` choose. Tests, and helpers for tests (`testing.ts`, `conformance*.ts`, `*.test-support.ts`), import what they need.
 * A new arrow is a decision: change `src/README.md` with this table.
 */
const map: Readonly<Record<string, readonly string[]>> = {
  contracts: [],
  files: [],
  http: [],
  // Models and question sets come from the Hub in the same way.
  hub: ["files", "http"],
  // How OpenAI's interface is answered; what answers comes as an argument.
  openai: ["http"],
  workers: [],
  // Whether a prompt holds an answer is decided as answers are compared.
  data: ["files", "hub", "prompts", "search", "rewards"],
  prompts: ["contracts"],
  // An engine behind a server, and a judge, are asked in the same way. Encoders run on the engine's runtime with its tokenizers.
  search: ["files", "http", "hub", "workers", "engine"],
  rollout: ["contracts", "prompts", "search"],
  // A format reward asks whether a text keeps a protocol.
  rewards: ["files", "http", "prompts"],
  // Somebody else's agent samples through it: a rollout whose turns come as requests of a chat.
  gateway: ["contracts", "prompts", "rollout"],
  algorithms: ["contracts"],
  // A policy behind a server is asked as any other service.
  policy: ["contracts", "http", "workers", "engine"],
  engine: ["contracts", "files", "hub"],
  pretrain: ["contracts", "files", "data", "prompts", "engine"],
  train: "contracts files hub data prompts search rollout rewards algorithms policy engine eval".split(" "),
  // What a search engine finds of the answers is measured as answers are.
  eval: ["contracts", "files", "search", "rollout", "rewards"],
  // Questions and transcripts made of documents.
  synthesis: "contracts files http policy data prompts search rollout rewards eval".split(" "),
  recipes: ["train"],
  // What was trained, to be used.
  agent: ["contracts", "openai", "search", "rollout", "train"],
  cli: "agent contracts files http hub openai workers data prompts search rollout policy engine pretrain train eval synthesis recipes".split(
    " ",
  ),
};

/** Files of src/ itself that everybody may import. */
const shared = ["types", "errors", "random", "async", "lru", "telemetry", "printable", "python-space"];

interface Arrow {
  from: string;
  to: string;
  /** `lazy` is `import()`: its file is loaded when it is called. */
  kind: "value" | "type" | "lazy";
}

/** Why the map lacks this arrow, or undefined when it has it. Paths are relative to src/, without extension. */
function objection(arrow: Arrow): string | undefined {
  const from = arrow.from.split("/")[0];
  const to = arrow.to.split("/")[0];
  if (from === to || arrow.from === "index") return undefined;
  if (!arrow.from.includes("/"))
    return arrow.to.includes("/") || !shared.includes(arrow.to) ? "a shared file of src/ imports a folder" : undefined;
  if (!arrow.to.includes("/"))
    return shared.includes(arrow.to) ? undefined : `${arrow.to} is not a shared file of src/`;
  if (!(from in map)) return `the map has no folder "${from}"`;
  return map[from].includes(to) ? undefined : `${from} must not know ${to}`;
}

/** Every import, export-from and dynamic import of a file that names another file of src/. */
function arrowsOf(file: string, text: string): Arrow[] {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  const arrows: Arrow[] = [];
  const add = (specifier: ts.Expression | undefined, kind: Arrow["kind"]): void => {
    if (!specifier || !ts.isStringLiteral(specifier) || !specifier.text.startsWith(".")) return;
    const to = join(dirname(file), specifier.text).replace(/\.(js|mjs|json)$/, "");
    arrows.push({ from: file.replace(/\.ts$/, ""), to, kind });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node))
      add(node.moduleSpecifier, node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword ? "type" : "value");
    else if (ts.isExportDeclaration(node)) add(node.moduleSpecifier, node.isTypeOnly ? "type" : "value");
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword)
      add(node.arguments[0], "lazy");
    ts.forEachChild(node, visit);
  };
  visit(source);
  return arrows;
}

/**
 * The arrows that lie on a circle of files, where that is not allowed: a circle has a type import in it, and its files are of one folder. What
 * `import()` loads later closes no circle.
 */
function circular(arrows: readonly Arrow[]): Arrow[] {
  const values = arrows.filter(({ kind }) => kind === "value");
  const loaded = arrows.filter(({ kind }) => kind !== "lazy");
  const crossing = loaded.filter(({ from, to }) => dirname(from) !== dirname(to));
  const [byValue, byAny] = [values, loaded].map(targetsOf);
  return [
    ...values.filter(({ from, to }) => reaches(byValue, to, from)),
    ...crossing.filter(({ from, to }) => reaches(byAny, to, from)),
  ];
}

function targetsOf(arrows: readonly Arrow[]): Map<string, string[]> {
  const targets = new Map<string, string[]>();
  for (const { from, to } of arrows) targets.set(from, [...(targets.get(from) ?? []), to]);
  return targets;
}

function reaches(targets: ReadonlyMap<string, readonly string[]>, from: string, to: string): boolean {
  const seen = new Set([from]);
  for (const file of seen) for (const next of targets.get(file) ?? []) seen.add(next);
  return seen.has(to);
}

describe("import map", () => {
  const root = resolve(dirname(fileURLToPath(import.meta.url)), "..", "src");
  const files = readdirSync(root, { recursive: true, encoding: "utf8" }).filter(
    (name) => name.endsWith(".ts") && !/(\.test|\.test-support|testing|conformance[-a-z]*)\.ts$/.test(name),
  );

  it("finds the sources", () => {
    expect(files).toContain("types.ts");
    expect(files.length).toBeGreaterThan(10);
  });

  const arrows = files.flatMap((file) => arrowsOf(file, readFileSync(join(root, file), "utf8")));

  it("has every arrow of the sources", () => {
    const missing = arrows
      .filter((arrow) => !arrow.to.startsWith(".."))
      .flatMap((arrow) => {
        const why = objection(arrow);
        return why ? [`src/${arrow.from}.ts → src/${arrow.to}.ts: ${why}`] : [];
      });
    expect(missing).toEqual([]);
  });

  it("allows no arrow that the sources lack", () => {
    const used = new Set(arrows.map(({ from, to }) => `${from.split("/")[0]} → ${to.split("/")[0]}`));
    const allowed = Object.entries(map).flatMap(([from, targets]) => targets.map((to) => `${from} → ${to}`));
    expect(allowed.filter((arrow) => !used.has(arrow))).toEqual([]);
  });

  it.each([
    ['import { a } from "../policy/local/client.js";', "algorithms/grpo.ts"],
    ['import type { a } from "../policy/local/client.js";', "rewards/answers.ts"],
    ['import { a } from "../../rollout/run.js";', "engine/generate/sampler.ts"],
    ['export * from "../../train/loop.js";', "policy/local/client.ts"],
    ['const a = await import("../cli/main.js");', "train/loop.ts"],
    ['import { a } from "../helpers.js";', "search/bm25.ts"],
    ['import { a } from "../utils/a.js";', "search/bm25.ts"],
    ['import { a } from "./search/bm25.js";', "types.ts"],
  ])("objects to %s in %s", (text, file) => {
    expect(arrowsOf(file, text).map(objection)).toEqual([expect.any(String)]);
  });

  it.each([
    ['import type { LossSpec } from "../contracts/policy.js";', "algorithms/grpo.ts"],
    ['import { render } from "../prompts/render.js";', "rollout/run.ts"],
    ['import { UserError } from "../errors.js";', "engine/io/safetensors.ts"],
    ['import { bm25 } from "../search/bm25.js";', "train/loop.ts"],
  ])("accepts %s in %s", (text, file) => {
    expect(arrowsOf(file, text).map(objection)).toEqual([undefined]);
  });

  it("finds no circles of files, but of types within one folder", () => {
    expect(circular(arrows).map(({ from, to }) => `src/${from}.ts → src/${to}.ts`)).toEqual([]);
  });

  it.each([
    ["of values", ["a/one value a/two", "a/two value a/three", "a/three value a/one"], 3],
    ["of types across folders", ["a/one type b/two", "b/two type a/one"], 2],
    ["of a value and a type across folders", ["a/one value b/two", "b/two type a/one"], 2],
    ["but not of types in one folder", ["a/one type a/two", "a/two type a/one"], 0],
    ["but not of a value and a type in one folder", ["a/one value a/two", "a/two type a/one"], 0],
    ["but not of what is loaded later", ["a/one lazy b/two", "b/two value a/one"], 0],
    [
      "but not beside a circle",
      ["a/one type a/two", "a/two type a/one", "b/three value a/one", "a/two value c/four"],
      0,
    ],
  ])("finds circles %s", (_, drawn, count) => {
    const read = drawn.map((line) => {
      const [from, kind, to] = line.split(" ");
      return { from, kind: kind as Arrow["kind"], to };
    });
    expect(circular(read)).toHaveLength(count);
  });
});
