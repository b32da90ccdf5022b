/** @file The policy of a configuration with a server. */
import type { Policy } from "../contracts/policy.js";
import { createServedPolicy, serverKey } from "../policy/served/served.js";
import { methodSettings } from "../rollout/methods/named.js";
import type { Config } from "./config/config.js";
import { servedFacts } from "./model-folder.js";
import type { OnNotice } from "./notices.js";
import type { Purpose } from "./open-policy.js";
import type { Opened } from "./parts.js";
import { asksByChat, refuseServed } from "./served-model.js";

/**
 * @throws UserError where training is asked of it, and for a server that is not there or cannot be used
 */
export async function openServed(config: Config, purpose: Purpose, onNotice?: OnNotice): Promise<Opened<Policy>> {
  if (purpose !== "sampling") refuseServed(config);
  const { think, search, answer } = methodSettings(config.rollout).protocol;
  const policy = await createServedPolicy({
    ...config.server,
    ...(await servedFacts(config)),
    api: asksByChat(config) ? "chat" : "completions",
    ownsTokenizer: config.server.tokenizer !== "",
    key: serverKey(),
    tags: { think, turns: [search, answer] },
    templateVariables: config.rollout.templateVariables,
  });
  for (const message of policy.notes ?? []) onNotice?.({ kind: "note", message });
  return { value: policy, close: () => policy.close() };
}
