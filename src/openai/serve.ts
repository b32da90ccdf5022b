/** @file Models on a port, as OpenAI's interface. */
import { isLoopback } from "../http/server/access.js";
import { listen, type ConnectionSettings, type RunningServer } from "../http/server/listen.js";
import { ChatService, type ChatModel, type ChatServiceSettings } from "./chat-service.js";

/** The models by name, their address, and bounds; what is left out has a default. */
export interface ServeModelsOptions extends Partial<ChatServiceSettings>, Partial<ConnectionSettings> {
  /** Those that are still being opened are waited for with 503. */
  models: ReadonlyMap<string, ChatModel | Promise<ChatModel>>;
  /** 0 lets the system choose. Default 8080. */
  port?: number;
  /** The default answers this machine only; "0.0.0.0" answers the network. */
  host?: string;
}

/**
 * Starts the server; its `url` is the base address that clients are given. On a loopback address it answers, unless `allowedHosts` says otherwise,
 * only requests whose `Host` is one, too.
 * @throws UserError when the port is taken or may not be used.
 */
export async function serveModels({
  models,
  port = 8080,
  host = "127.0.0.1",
  allowedHosts = isLoopback(host) ? [] : "any",
  ...settings
}: ServeModelsOptions): Promise<RunningServer> {
  const service = new ChatService(models, { ...settings, allowedHosts });
  const takeHeld = (held: ChatService["metrics"]["held"]): void => void (service.metrics.held = held);
  return listen(service, { ...settings, port, host }, { route: "/v1", takeHeld });
}
