/** @file From a configuration to what a rollout takes: all but the search engine and the policy. */
import type { searchEnvironment } from "../rollout/environment.js";
import { methodSettings } from "../rollout/methods/named.js";
import { budgetsOf } from "../rollout/settings.js";
import type { Config } from "./config/config.js";

/** How a configuration lets a question be attempted: all but the search engine and the policy. */
export function rolloutSettings({
  search,
  rollout,
  faithful,
}: Config): Omit<Parameters<typeof searchEnvironment>[0], "search"> {
  const { cutObservations, searchTagFirst, dropEndOfText, noStartToken } = faithful;
  const { protocol, context, maxSearches } = methodSettings(rollout);
  return {
    protocol,
    chat: rollout.chat,
    templateVariables: rollout.templateVariables,
    context,
    topK: search.topK,
    searchTimeoutMs: search.timeoutMs,
    maxSearches,
    maxTokensPerTurn: rollout.maxTokensPerTurn,
    ...budgetsOf(rollout),
    faithful: { cutObservations, searchTagFirst, dropEndOfText, noStartToken },
  };
}
