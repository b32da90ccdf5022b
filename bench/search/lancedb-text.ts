/** @file LanceDB's full-text search over the corpus of the bench. */
import { existsSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { loadLance } from "../../src/search/dense/lancedb/library.js";
import { runCase } from "../case.js";
import type { BenchCorpus } from "./corpus.js";

export const tableName = "passages";

/** Two minutes do where it goes well. */
const longestMs = 15 * 60_000;

export interface TextSearch {
  /** Ids of the best passages; their texts are read too. */
  search(query: string, k: number): Promise<string[]>;
  close(): void;
}

/**
 * Opens the table in the corpus's folder, or makes it.
 * @throws Error when it is not made in a quarter of an hour
 */
export async function openLanceText(corpus: BenchCorpus, note: (text: string) => void): Promise<TextSearch> {
  const { connect, MatchQuery } = loadLance();
  const folder = join(corpus.folder, "lancedb");
  const finished = join(folder, "finished");
  if (!existsSync(finished)) {
    note("making LanceDB's table and index");
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { recursive: true });
    await runCase("search/lancedb-text-case.ts", { corpus: corpus.path, folder }, { longestMs });
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
