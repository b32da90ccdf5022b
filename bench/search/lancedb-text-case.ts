/**
 * @file Makes LanceDB's table of a corpus and its full-text index, in a process of its own: set up as its documentation has it for ranked
 * search (no positions, stems, stop words removed), then optimize.
 */
import { json } from "node:stream/consumers";
import { readCorpus } from "../../src/search/documents/corpus.js";
import { loadLance } from "../../src/search/dense/lancedb/library.js";
import { tableName } from "./lancedb-text.js";

const rowsPerWrite = 50_000;

// With the two threads that it takes on two cores, the library was seen to wait for itself without end while it made the index.
process.env.LANCE_CPU_THREADS ??= "4";

const { corpus, folder } = (await json(process.stdin)) as { corpus: string; folder: string };
const { connect, Index } = loadLance();
const connection = await connect(folder);
let rows: { id: string; text: string }[] = [];
for await (const batch of readCorpus([corpus])) {
  for (const { id, title, text } of batch) rows.push({ id, text: `${title}\n${text}` });
  if (rows.length >= rowsPerWrite) await write();
}
if (rows.length > 0) await write();
const table = await connection.openTable(tableName);
await table.createIndex("text", { config: Index.fts({ withPosition: false, stem: true, removeStopWords: true }) });
await table.optimize();
process.stdout.write(JSON.stringify({ rows: await table.countRows() }));

async function write(): Promise<void> {
  if ((await connection.tableNames()).includes(tableName)) await (await connection.openTable(tableName)).add(rows);
  else await connection.createTable(tableName, rows);
  rows = [];
}
