/** @file What a configuration says of a model behind a server, without asking it. */
import { UserError } from "../errors.js";
import { parseConfig, type Config } from "./config/config.js";

/** Whether the model stands behind a server. */
export function isServed({ server }: Pick<Config, "server">): boolean {
  return server.url !== "";
}

/** Whether the server gets messages and applies a chat template. By completions prompts are laid out here, which takes the model's own tokenizer. */
export function asksByChat({ server }: Pick<Config, "server">): boolean {
  return isServed({ server }) && (server.api === "chat" || (server.api === "auto" && server.tokenizer === ""));
}

/** No flag, file or preset names a model of this machine. */
export function isUnnamed({ model }: Pick<Config, "model">): boolean {
  return model.folder === parseConfig({}).model.folder;
}

/** What the model of a settled configuration is called: its place, or what its server calls it. */
export function modelName(config: Pick<Config, "model" | "server">): string {
  return isServed(config) ? config.server.model : config.model.folder;
}

/** @throws UserError for a configuration to train with whose model stands behind a server */
export function refuseServed(config: Pick<Config, "server">): void {
  if (!isServed(config)) return;
  throw new UserError(
    "server.url is set, and a model behind a server cannot be trained: it is only asked to write. Leave server.url out to train a model of this machine; " +
      "for a larger model's attempts as transcripts, see sleuth collect --server.",
  );
}
