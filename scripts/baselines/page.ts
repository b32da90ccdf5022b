/** @file docs/results/baselines.md: the tables of the evaluations, what is above what, and the commands. */
import { join } from "node:path";
import { isEvaluationFolder, readEvaluation, readRecords } from "../../src/eval/folder.js";
import { gridTable, type GridCell } from "../../src/eval/grid.js";
import { bootstrapMean, type Estimate } from "../../src/eval/intervals.js";
import { perQuestion, type MetricName } from "../../src/eval/metrics.js";
import { formatDifference, renderTable } from "../../src/eval/table.js";
import { methods, type MethodName } from "../../src/rollout/methods/named.js";
import { minutes } from "../run-page.js";
import type { StageRecord } from "../stages.js";
import type { Part } from "./stages.js";

/** One evaluation of a part. */
interface Place {
  model: string;
  set: string;
  method: MethodName;
  folder: string;
}

/** Everything that a section is made of. */
export interface Section {
  title: string;
  /** Sentences below the title. */
  words: string;
  cells: readonly GridCell[];
  orders: readonly Order[];
  records: Readonly<Record<string, StageRecord>>;
}

/** One evaluation against another, paired by question. */
export interface Order {
  set: string;
  better: string;
  worse: string;
  difference: Estimate;
  n: number;
}

/** What the papers say is above what: each is compared where both were evaluated. */
const claims: readonly (readonly [better: readonly [string, MethodName], worse: readonly [string, MethodName]])[] = [
  [["trained", "search-r1"], ["shipped", "rag"]],
  [["trained", "search-r1"], ["untrained", "rag"]],
  [["trained", "search-r1"], ["warm-start", "search-r1"]],
  [["trained", "search-r1"], ["rejection-sampling", "search-r1"]],
  [["trained", "search-r1"], ["trained", "rag"]],
  [["trained", "search-r1"], ["R1", "r1"]],
  [["trained", "search-r1"], ["SFT", "direct"]],
  [["trained", "oracle-search"], ["trained", "search-r1"]],
  [["shipped", "rag"], ["shipped", "direct"]],
  [["untrained", "rag"], ["untrained", "direct"]],
]; // prettier-ignore

/** Reads what is there of a part. */
export async function readSection(
  folder: string,
  part: Part,
  about: Pick<Section, "title" | "words" | "records">,
): Promise<Section> {
  const places = part.entries.flatMap(({ name, methods: own }) =>
    part.sets.flatMap(({ name: set }) =>
      own.map((method) => ({ model: name, set, method, folder: join(folder, "tables", name, set, method) })),
    ),
  );
  const cells = await Promise.all(
    places.map(async ({ folder: place, ...cell }) => ({
      ...cell,
      saved: isEvaluationFolder(place) ? await readEvaluation(place) : null,
    })),
  );
  return { ...about, cells, orders: await readOrders(places, part) };
}

async function readOrders(places: readonly Place[], { sets }: Part): Promise<Order[]> {
  const orders: Order[] = [];
  for (const { name: set } of sets)
    for (const [better, worse] of claims) {
      const [a, b] = [better, worse].map(([model, method]) =>
        places.find((place) => place.model === model && place.method === method && place.set === set),
      );
      if (a === undefined || b === undefined || ![a, b].every(({ folder }) => isEvaluationFolder(folder))) continue;
      orders.push({ set, better: nameOf(a), worse: nameOf(b), ...(await paired(a.folder, b.folder)) });
    }
  return orders;
}

const nameOf = ({ model, method }: Place): string => `${model}, ${methods[method].title}`;

async function paired(better: string, worse: string): Promise<Pick<Order, "difference" | "n">> {
  const [a, b] = await Promise.all(
    [better, worse].map(async (folder) => perQuestion(await readRecords(folder), "exactMatch")),
  );
  const differences = [...a].flatMap(([key, value]) => {
    const other = b.get(key);
    return other === undefined ? [] : [value - other];
  });
  return { difference: bootstrapMean(differences, { samples: 10_000 }), n: differences.length };
}

/** The page. */
export function renderPage(sections: readonly Section[], command: string): string {
  const commits = [...new Set(sections.flatMap(({ records }) => Object.values(records).map(({ commit }) => commit)))];
  return `# Baselines

\`${command}\` at ${commits.join(", ")}. What each method does: [docs/baselines.md](../baselines.md). Greedy, one seed; intervals are of the test questions, not of training again.

${sections.map(renderSection).join("\n")}`;
}

function renderSection({ title, words, cells, orders, records }: Section): string {
  const tables = (["exactMatch", "coverMatch", "answerShown"] as const).map((metric) => tableOf(cells, metric));
  return `## ${title}

${words}

${tables.join("\n")}
${orders.length === 0 ? "" : ordersOf(orders)}
${commandsOf(records)}`;
}

function tableOf(cells: readonly GridCell[], metric: MetricName): string {
  return renderTable(gridTable(cells, { metric, published: null }), "markdown");
}

function ordersOf(orders: readonly Order[]): string {
  const rows = orders.map(
    ({ set, better, worse, difference, n }) =>
      `| ${set} | ${better} | ${worse} | ${formatDifference(difference)} | ${verdict(difference)} | ${n} |`,
  );
  return `Exact match, paired by question (bootstrap, 10,000 samples):

| set | this | against this | difference | is it above? | n |
| --- | --- | --- | --- | --- | --- |
${rows.join("\n")}
`;
}

function verdict({ low, high }: Estimate): string {
  if (low > 0) return "yes";
  return high < 0 ? "no: below" : "not to be told";
}

function commandsOf(records: Section["records"]): string {
  const rows = Object.entries(records).map(
    ([name, { words, seconds, starts }]) =>
      `| ${name}${starts > 1 ? ` (${starts} starts)` : ""} | ${minutes(seconds)} | \`sleuth ${words.join(" ")}\` |`,
  );
  return `<details><summary>Commands</summary>

| stage | took | command |
| --- | --- | --- |
${rows.join("\n")}

</details>
`;
}
