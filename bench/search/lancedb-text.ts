/** @file LanceDB's full-text search over the corpus of the bench, set up as its documentation has it for ranked search. */
import { existsSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { readCorpus } from "../../src/search/corpus.js";
import { loadLance } from "../../src/search/dense/lancedb-library.js";
import type { BenchCorpus } from "./corpus.js";

const rowsPerWrite = 50_000;
const tableName = "passages";

export interface TextSearch {
  /** Ids of the best passages; their texts are read too. */
  search(query: string, k: number): Promise<string[]>;
  close(): void;
}

/** Opens the table in the corpus's folder, or makes it: passages, then the index (no positions, stems, stop words removed), then optimize. */
export async function openLanceText(corpus: BenchCorpus, note: (text: string) => void): Promise<TextSearch> {
  const { connect, Index, MatchQuery } = loadLance();
  const folder = join(corpus.folder, "lancedb");
  const finished = join(folder, "finished");
  if (!existsSync(finished)) {
    note("making LanceDB's table and index");
    await rm(folder, { recursive: true, force: true });
    const connection = await connect(folder);
    let rows: { id: string; text: string }[] = [];
    const write = async (): Promise<void> => {
      if ((await connection.tableNames()).includes(tableName)) await (await connection.openTable(tableName)).add(rows);
      else await connection.createTable(tableName, rows);
      rows = [];
    };
    for await (const batch of readCorpus([corpus.path])) {
      for (const { id, title, text } of batch) rows.push({ id, text: `${title}\n${text}` });
      if (rows.length >= rowsPerWrite) await write();
    }
    if (rows.length > 0) await write();
    const table = await connection.openTable(tableName);
    await table.createIndex("text", { config: Index.fts({ withPosition: false, stem: true, removeStopWords: true }) });
    await table.optimize();
    await writeFile(finished, "");
  }
  const connection = await connect(folder);
  const table = await connection.openTable(tableName);
  return {
    async search(query, k) {
      const rows = await table
        .query()
        .fullTextSearch(new MatchQuery(query, "text"))
        .select(["id", "text", "_score"])
        .limit(k)
        .toArray();
      return rows.map((row: { id: string }) => row.id);
    },
    close() {
      table.close();
      connection.close();
    },
  };
}
