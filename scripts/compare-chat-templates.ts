/**
 * @file Compares how chat templates are rendered here with how Hugging Face transformers renders them: every template that the Python package
 * TRL ships, over conversations with thoughts, tools and calls. Prints the figures of docs/models.md.
 * `npm run compare-templates [-- --library]`; `PYTHON` names a Python with pip, transformers and jinja2 (default python3).
 * With `--library` the bare `@huggingface/jinja` renders instead.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { Environment, Interpreter, parse, tokenize } from "@huggingface/jinja";
import { templateGlobals } from "../src/engine/io/chat-template.js";
import { readJinja, runJinja } from "../src/engine/io/jinja.js";

const requirement = "trl==1.16.0";
const python = process.env.PYTHON ?? "python3";
/** The day that the Python part freezes. */
const now = new Date(2025, 2, 9, 17, 5);

interface Rendering {
  template: string;
  case: string;
  variables: Record<string, unknown>;
  text: string | null;
  error: string | null;
}

function runPython(args: readonly string[], what: string): string {
  const { status, stdout, error } = spawnSync(python, args, {
    encoding: "utf8",
    maxBuffer: 2 ** 30,
    stdio: ["ignore", "pipe", "inherit"],
  });
  if (status === 0) return stdout;
  throw new Error(`${what} failed${error === undefined ? "" : ` (${error.message})`}. PYTHON names another Python.`);
}

/** The folder of TRL's templates, unpacked into `work`; nothing is installed. */
function fetchTemplates(work: string): string {
  const pip = ["-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--quiet", "--dest", work, requirement];
  runPython(pip, `pip download ${requirement}`);
  const wheel = readdirSync(work).find((file) => file.endsWith(".whl")) ?? "";
  runPython(["-m", "zipfile", "-e", path.join(work, wheel), work], `Unpacking ${wheel}`);
  return path.join(work, "trl", "chat_templates");
}

function renderHere(source: string, variables: Record<string, unknown>): string {
  return runJinja(readJinja(source), { ...templateGlobals(now), ...variables });
}

function renderWithLibrary(source: string, variables: Record<string, unknown>): string {
  const environment = new Environment();
  const given = { ...templateGlobals(now), ...variables };
  for (const [name, value] of Object.entries(given)) environment.set(name, value);
  const program = parse(tokenize(source, { lstrip_blocks: true, trim_blocks: true }));
  return String(new Interpreter(environment).run(program).value);
}

const work = mkdtempSync(path.join(os.tmpdir(), "sleuth-templates-"));
try {
  const folder = fetchTemplates(work);
  const script = fileURLToPath(new URL("compare-chat-templates.py", import.meta.url));
  const renderings = JSON.parse(runPython([script, folder], script)) as Rendering[];
  const render = process.argv.includes("--library") ? renderWithLibrary : renderHere;
  const counts = { equal: 0, different: 0, "refused here": 0, "refused there": 0, "refused by both": 0 };
  const rest = new Map<string, string[]>();
  const note = (kind: string, { template, case: name }: Rendering): void => {
    rest.set(kind, [...(rest.get(kind) ?? []), `${template} (${name})`]);
  };
  for (const rendering of renderings) {
    const source = readFileSync(path.join(folder, `${rendering.template}.jinja`), "utf8");
    try {
      const text = render(source, rendering.variables);
      if (rendering.text === null) {
        counts["refused there"]++;
        note(`rendered here, refused by transformers: ${rendering.error?.split("\n")[0]}`, rendering);
      } else if (text === rendering.text) counts.equal++;
      else {
        counts.different++;
        const at = [...text].findIndex((_, index) => text[index] !== rendering.text?.[index]);
        const around = (of: string): string => JSON.stringify(of.slice(Math.max(0, at - 20), at + 20));
        note(`different: here ${around(text)}, transformers ${around(rendering.text)}`, rendering);
      }
    } catch (error) {
      if (rendering.text === null) counts["refused by both"]++;
      else {
        counts["refused here"]++;
        note(`refused here: ${(error as Error).message.split("\n")[0]}`, rendering);
      }
    }
  }
  const templates = new Set(renderings.map(({ template }) => template)).size;
  const comparable = counts.equal + counts.different + counts["refused here"];
  console.log(
    `${templates} templates of ${requirement}, ${renderings.length} renderings; ${comparable} that transformers makes: ${counts.equal} equal\n`,
  );
  console.log(`| kind | renderings |\n| --- | --- |`);
  for (const [kind, count] of Object.entries(counts)) console.log(`| ${kind} | ${count} |`);
  console.log("");
  for (const [kind, cases] of rest) console.log(`${cases.length} × ${kind}\n    first: ${cases[0]}`);
} finally {
  rmSync(work, { recursive: true, force: true });
}
