/**
 * @file The sources as JavaScript, in `.transpiled/`, for the processes and workers that tests start: these load without tsx, which costs each of
 * them a second. Types are left to `npm run check`. Only what has changed is written.
 */
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const source = path.join(root, "src");
/** As deep as `src/` and `dist/`: the sources look for what lies beside these. */
const target = path.join(root, ".transpiled");

/** How node runs a file of the sources in a process of its own: its arguments up to the file's. */
export function sourceArguments(name: string): string[] {
  const { SLEUTH_TRANSPILED: transpiled } = process.env;
  if (transpiled === undefined) return ["--import", "tsx", path.join(source, name)];
  return [path.join(transpiled, compiledName(name))];
}

/** Names the folder in `SLEUTH_TRANSPILED` for all test processes. */
export default async function setup(): Promise<void> {
  const wanted = new Map(filesOf(source).flatMap((name) => (isTest(name) ? [] : [[compiledName(name), name]])));
  for (const name of filesOf(target)) if (!wanted.has(name)) rmSync(path.join(target, name));
  const stale = [...wanted].filter(([to, from]) => mtimeOf(path.join(target, to)) !== mtimeOf(path.join(source, from)));
  if (stale.length > 0) {
    const { default: ts } = await import("typescript");
    const { ES2022: lastOfTarget } = ts.ScriptTarget;
    const compilerOptions = { target: lastOfTarget, module: ts.ModuleKind.ESNext, verbatimModuleSyntax: true };
    for (const [to, from] of stale) {
      const file = path.join(target, to);
      mkdirSync(path.dirname(file), { recursive: true });
      // Another run may be loading what is replaced.
      const aside = `${file}.${process.pid}`;
      if (from.endsWith(".ts")) {
        const text = readFileSync(path.join(source, from), "utf8");
        writeFileSync(aside, ts.transpileModule(text, { fileName: from, compilerOptions }).outputText);
      } else copyFileSync(path.join(source, from), aside);
      const { atime, mtimeMs } = statSync(path.join(source, from));
      utimesSync(aside, atime, new Date(Math.floor(mtimeMs)));
      renameSync(aside, file);
    }
  }
  process.env.SLEUTH_TRANSPILED = target;
}

function filesOf(folder: string): string[] {
  if (!existsSync(folder)) return [];
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries.flatMap((entry) =>
    entry.isFile() ? [path.relative(folder, path.join(entry.parentPath, entry.name))] : [],
  );
}

function isTest(name: string): boolean {
  return name.endsWith(".test.ts") || !/\.(ts|mjs|json)$/.test(name);
}

function compiledName(name: string): string {
  return name.replace(/\.ts$/, ".js");
}

/** In whole milliseconds, as `utimes` keeps it; null where there is no file. */
function mtimeOf(file: string): number | null {
  return existsSync(file) ? Math.floor(statSync(file).mtimeMs) : null;
}
