/** @file Settings of the group `search` that are each valid but make no sense together. */
import { checkEngineSettings } from "../../search/settings.js";
import type { Config } from "./config.js";
import { searchSettings } from "./search-settings.js";

/** @throws UserError naming the keys */
export function refuseSearchContradictions(search: Config["search"]): void {
  checkEngineSettings(searchSettings(search));
}
