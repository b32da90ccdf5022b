/** @file From a configuration to what a rollout takes: all but the search engine and the policy. */
import type { searchEnvironment } from "../rollout/environment.js";
import { methodSettings } from "../rollout/methods/named.js";
import { budgetsOf } from "../rollout/settings.js";
import type { Config } from "./config/config.js";
import { asksByChat } from "./served-model.js";

/** How a configuration lets a question be attempted: all but the search engine and the policy. */
export function rolloutSettings({
  search,
  rollout,
  faithful,
  server,
}: Config): Omit<Parameters<typeof searchEnvironment>[0], "search"> {
  const { cutObservations, searchTagFirst, dropEndOfText, noStartToken } = faithful;
  const { protocol, context, maxSearches } = methodSettings(rollout);
  return {
    protocol,
    // A server that is asked by chat applies the template, and is told the variables itself.
    ...(asksByChat({ server })
      ? { chat: "never" as const, templateVariables: {} }
      : { chat: rollout.chat, templateVariables: rollout.templateVariables }),
    context,
    topK: search.topK,
    searchTimeoutMs: search.timeoutMs,
    maxSearches,
    maxTokensPerTurn: rollout.maxTokensPerTurn,
    ...budgetsOf(rollout),
    faithful: { cutObservations, searchTagFirst, dropEndOfText, noStartToken },
  };
}
