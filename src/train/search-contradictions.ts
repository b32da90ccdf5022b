/** @file Settings of the group `search` that are each valid but make no sense together. */
import { UserError } from "../errors.js";
import type { Config } from "./config.js";

/** Engines that are asked at an address. */
const served = ["http", "opensearch", "qdrant", "searxng"];

/** @throws UserError naming the keys */
export function refuseSearchContradictions(search: Config["search"]): void {
  const engines = search.engine.split("+");
  const remote = engines.find((name) => served.includes(name));
  if (remote !== undefined && search.url === "") {
    throw new UserError(
      `search.engine is ${search.engine}, but search.url is empty. Set search.url, for example http://127.0.0.1:8000/retrieve.`,
    );
  }
  if (search.url !== "" && remote === undefined) {
    throw new UserError(
      `search.url is set, but search.engine is ${search.engine} and would not use it. Set search.engine=http or drop the url.`,
    );
  }
}
