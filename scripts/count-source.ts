/**
 * @file The size of the sources: `npm run count` prints lines, files and exports of `src/` by folder, without tests and their helpers.
 * `--unused` lists exported names that no other file imports, tests included; `--single` lists files that serve exactly one other file.
 */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import ts from "typescript";

/** The text of each file by its path from the root of the repository, with `/` between folders. */
export type Files = ReadonlyMap<string, string>;

interface Size {
  lines: number;
  files: number;
  /** Lines that begin with `export `. */
  exports: number;
}

/** Whether a file is one of the sources that are counted: of `src/`, and no test, no helper of tests, no conformance suite. */
export function isCounted(file: string): boolean {
  const isHelper = /(\.test|\.test-support|(^|\/)conformance[^/]*|(^|\/)testing)\.ts$/.test(file);
  return /^src\/.*\.(ts|mjs)$/.test(file) && !isHelper;
}

/** Sizes by folder of `src/`, in alphabetical order; the files of `src/` itself under `src`. */
export function sizes(files: Files): Map<string, Size> {
  const byFolder = new Map<string, Size>();
  for (const [file, text] of [...files].filter(([name]) => isCounted(name)).sort(([a], [b]) => (a < b ? -1 : 1))) {
    const [, folder, ...rest] = file.split("/");
    const name = rest.length === 0 ? "src" : folder;
    const { lines, files: count, exports } = byFolder.get(name) ?? { lines: 0, files: 0, exports: 0 };
    byFolder.set(name, {
      lines: lines + (text.match(/\n/g)?.length ?? 0),
      files: count + 1,
      exports: exports + (text.match(/^export /gm)?.length ?? 0),
    });
  }
  return byFolder;
}

/** `file: name` for every exported name of a counted file that no other file imports. What `src/index.ts` exports is used. */
export function unusedExports(files: Files): string[] {
  const modules = readModules(files);
  const used = new Map<string, Set<string>>();
  for (const { imports } of modules.values())
    for (const { file, names } of imports) used.set(file, new Set([...(used.get(file) ?? []), ...names]));
  return [...modules].flatMap(([file, { exports }]) => {
    const names = used.get(file);
    if (!isCounted(file) || file === "src/index.ts" || names?.has(everything)) return [];
    return exports.filter((name) => !names?.has(name)).map((name) => `${file}: ${name}`);
  });
}

/** `file → importer` for every counted file that exactly one other counted file imports. */
export function servingOne(files: Files): string[] {
  const modules = readModules(files);
  const importers = new Map<string, Set<string>>();
  for (const [importer, { imports }] of modules) {
    if (!isCounted(importer)) continue;
    for (const { file } of imports) importers.set(file, new Set([...(importers.get(file) ?? []), importer]));
  }
  return [...modules.keys()].flatMap((file) => {
    const [first, ...others] = importers.get(file) ?? [];
    return isCounted(file) && first !== undefined && others.length === 0 ? [`${file} → ${first}`] : [];
  });
}

/** Stands for all names of a module: of `import *`, `export *`, or an `import()` whose use cannot be read. */
const everything = "*";

interface Module {
  exports: string[];
  imports: { file: string; names: string[] }[];
}

function readModules(files: Files): Map<string, Module> {
  return new Map(
    [...files].filter(([file]) => /\.(ts|mjs|js)$/.test(file)).map(([file, text]) => [file, read(file, text, files)]),
  );
}

function read(file: string, text: string, files: Files): Module {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  const imports: Module["imports"] = [];
  const add = (specifier: ts.Node | undefined, names: string[]): void => {
    if (specifier === undefined || !ts.isStringLiteralLike(specifier) || !specifier.text.startsWith(".")) return;
    const path = posix.join(posix.dirname(file), specifier.text).replace(/^dist\//, "src/");
    const target = [path.replace(/\.js$/, ".ts"), path].find((name) => files.has(name));
    if (target !== undefined && target !== file) imports.push({ file: target, names });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) add(node.moduleSpecifier, importedNames(node.importClause));
    else if (ts.isExportDeclaration(node)) add(node.moduleSpecifier, reexportedNames(node.exportClause));
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword)
      add(node.arguments[0], namesOfUse(node));
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument))
      add(node.argument.literal, [node.qualifier?.getText().split(".")[0] ?? everything]);
    // A worker's entry.
    else if (ts.isNewExpression(node) && node.expression.getText() === "URL") add(node.arguments?.[0], []);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return { exports: source.statements.flatMap(exportedNames), imports };
}

function importedNames(clause: ts.ImportClause | undefined): string[] {
  if (clause === undefined) return [];
  const { name, namedBindings } = clause;
  const bound =
    namedBindings === undefined
      ? []
      : ts.isNamespaceImport(namedBindings)
        ? [everything]
        : namedBindings.elements.map((element) => (element.propertyName ?? element.name).text);
  return name === undefined ? bound : ["default", ...bound];
}

function reexportedNames(clause: ts.NamedExportBindings | undefined): string[] {
  if (clause === undefined || ts.isNamespaceExport(clause)) return [everything];
  return clause.elements.map(({ propertyName, name }) => (propertyName ?? name).text);
}

/** What is read of `(await import("…")).name` and `const { name } = await import("…")`. */
function namesOfUse(call: ts.CallExpression): string[] {
  let node: ts.Node = call.parent;
  while (ts.isAwaitExpression(node) || ts.isParenthesizedExpression(node)) node = node.parent;
  if (ts.isPropertyAccessExpression(node)) return [node.name.text];
  if (!ts.isVariableDeclaration(node) || !ts.isObjectBindingPattern(node.name)) return [everything];
  return node.name.elements.map(({ propertyName, name }) => (propertyName ?? name).getText());
}

function exportedNames(statement: ts.Statement): string[] {
  if (ts.isExportAssignment(statement)) return ["default"];
  if (ts.isExportDeclaration(statement)) {
    const { exportClause } = statement;
    return exportClause && ts.isNamedExports(exportClause) ? exportClause.elements.map(({ name }) => name.text) : [];
  }
  const modifiers = ts.canHaveModifiers(statement) ? (ts.getModifiers(statement) ?? []) : [];
  if (!modifiers.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword)) return [];
  if (modifiers.some(({ kind }) => kind === ts.SyntaxKind.DefaultKeyword)) return ["default"];
  if (ts.isVariableStatement(statement))
    return statement.declarationList.declarations.flatMap(({ name }) => boundNames(name));
  const { name } = statement as ts.DeclarationStatement;
  return name === undefined ? [] : [name.text];
}

function boundNames(name: ts.BindingName): string[] {
  if (ts.isIdentifier(name)) return [name.text];
  return name.elements.flatMap((element) => (ts.isBindingElement(element) ? boundNames(element.name) : []));
}

/** The text of every TypeScript and JavaScript file of the folders. */
function readFiles(root: string): Files {
  const files = new Map<string, string>();
  for (const folder of ["src", "test", "bench", "scripts", "bin"])
    for (const name of readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })) {
      const file = posix.join(folder, name.replaceAll("\\", "/"));
      if (/\.(ts|mjs|js)$/.test(file)) files.set(file, readFileSync(join(root, file), "utf8"));
    }
  return files;
}

function table(bySize: ReadonlyMap<string, Size>): string {
  const rows = [...bySize];
  const total = (key: keyof Size): number => rows.reduce((sum, [, size]) => sum + size[key], 0);
  rows.push(["total", { lines: total("lines"), files: total("files"), exports: total("exports") }]);
  const line = (name: string, ...cells: (string | number)[]): string =>
    name.padEnd(12) + cells.map((cell) => cell.toLocaleString("en").padStart(9)).join("");
  return [
    line("", "lines", "files", "exports"),
    ...rows.map(([name, size]) => line(name, size.lines, size.files, size.exports)),
  ].join("\n");
}

function main(): void {
  const command = new Command("count")
    .description("Counts the sources: lines, files and exports of src/ without tests and their helpers.")
    .option("--unused", "exported names that no other file imports, tests included")
    .option("--single", "files that exactly one other file of src/ imports")
    .parse();
  const { unused, single } = command.opts<{ unused?: true; single?: true }>();
  const files = readFiles(dirname(dirname(fileURLToPath(import.meta.url))));
  const lists = [...(unused ? [unusedExports(files)] : []), ...(single ? [servingOne(files)] : [])];
  console.log(lists.length === 0 ? table(sizes(files)) : lists.flat().join("\n"));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
