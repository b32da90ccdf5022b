import { expect, it } from "vitest";
import type { PassageList, SearchEngine } from "../search/engine.js";
import { askSearch } from "./ask-search.js";

it("a query that was refused among others is a failed search, not one that found nothing", async () => {
  const engine: SearchEngine = {
    name: "odd",
    searchBatch: () => Promise.resolve([Object.assign([], { partial: true, refused: "too long" }) as PassageList]),
    close: () => Promise.resolve(),
  };
  const outcome = await askSearch(engine, "q", { topK: 1, timeoutMs: 1_000 });
  expect(outcome).toMatchObject({ passages: [], error: "odd: too long" });
});
