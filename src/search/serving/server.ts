/** @file Any search engine as a server that speaks Search-R1's `/retrieve`, for any trainer in any language. */
import { isLoopback } from "../../http/server/access.js";
import { listen, type ConnectionSettings, type RunningServer } from "../../http/server/listen.js";
import type { SearchEngine } from "../engine.js";
import { SearchService } from "./service.js";
import type { SearchServiceSettings } from "./service.js";

export type { RunningServer } from "../../http/server/listen.js";

/** The engine, its address, and bounds; what is left out has a default. */
export interface ServeOptions extends Partial<SearchServiceSettings>, Partial<ConnectionSettings> {
  /** One that is still being opened is waited for with 503. */
  engine: SearchEngine | Promise<SearchEngine>;
  /** 0 lets the system choose; the default is the original's 8000. */
  port?: number;
  /** The default answers this machine only; "0.0.0.0" answers the network. */
  host?: string;
}

/**
 * Starts the server. On a loopback address it answers, unless `allowedHosts` says otherwise, only requests whose `Host` is one, too. The end turns
 * away also the searches that the engine has not begun.
 * @throws UserError when the port is taken or may not be used.
 */
export async function serve({
  engine,
  port = 8000,
  host = "127.0.0.1",
  allowedHosts = isLoopback(host) ? [] : "any",
  ...settings
}: ServeOptions): Promise<RunningServer> {
  const service = new SearchService(engine, { ...settings, allowedHosts });
  const takeHeld = (held: SearchService["metrics"]["held"]): void => void (service.metrics.held = held);
  return listen(service, { ...settings, port, host }, { route: "/retrieve", takeHeld });
}
