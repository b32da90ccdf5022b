/** @file The map of `src/README.md`: imports point downward, with three joints. An arrow that the map lacks fails here. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { describe, expect, it } from "vitest";

const ground = ["contracts", "files", "http", "workers"] as const;
const below = [...ground, "data", "prompts", "search", "rollout", "rewards", "algorithms", "policy", "engine"] as const;

/**
 * What each folder may import, in the order in which a question travels. Arrows point downward; `rollout` joins policy, prompts and
 * search; `train` and `eval` join everything; `cli` and `recipes` choose. Tests, and helpers for tests (`testing.ts`, `conformance*.ts`, `*.test-support.ts`), import what they need.
 * A new arrow is a decision: change `src/README.md` with this table.
 */
const map: Readonly<Record<string, readonly string[]>> = {
  contracts: [],
  files: [],
  http: [],
  workers: [],
  data: ["files", "prompts", "search", "rewards", "engine"],
  prompts: ["contracts"],
  // An engine behind a server, and a judge, are asked in the same way. Encoders run on the engine's runtime with its tokenizers.
  search: ["files", "http", "workers", "engine"],
  rollout: ["contracts", "prompts", "search"],
  // A format reward asks whether a text keeps a protocol.
  rewards: ["contracts", "files", "http", "prompts"],
  algorithms: ["contracts"],
  policy: ["contracts", "files", "workers", "engine"],
  engine: ["contracts", "files", "http"],
  pretrain: [...below, "train"],
  train: [...below, "eval"],
  eval: [...below, "train"],
  recipes: [...below, "train", "eval"],
  cli: [...below, "pretrain", "train", "eval", "recipes"],
};

/** Files of src/ itself that everybody may import. */
const shared = ["types", "errors", "random", "async", "lru"];

interface Arrow {
  from: string;
  to: string;
  typeOnly: boolean;
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
  const add = (specifier: ts.Expression | undefined, typeOnly: boolean): void => {
    if (!specifier || !ts.isStringLiteral(specifier) || !specifier.text.startsWith(".")) return;
    const to = join(dirname(file), specifier.text).replace(/\.(js|mjs|json)$/, "");
    arrows.push({ from: file.replace(/\.ts$/, ""), to, typeOnly });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node))
      add(node.moduleSpecifier, node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword);
    else if (ts.isExportDeclaration(node)) add(node.moduleSpecifier, node.isTypeOnly);
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword)
      add(node.arguments[0], false);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return arrows;
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

  it("has every arrow of the sources", () => {
    const missing = files
      .flatMap((file) => arrowsOf(file, readFileSync(join(root, file), "utf8")))
      .filter((arrow) => !arrow.to.startsWith(".."))
      .flatMap((arrow) => {
        const why = objection(arrow);
        return why ? [`src/${arrow.from}.ts → src/${arrow.to}.ts: ${why}`] : [];
      });
    expect(missing).toEqual([]);
  });

  it.each([
    ['import { a } from "../policy/local/client.js";', "algorithms/grpo.ts"],
    ['import type { a } from "../policy/local/client.js";', "rewards/exact-match.ts"],
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
});
