/** @file A search server without connections, for tests. */
import { inProcessOf, type InProcess as Asked } from "../../http/server/in-process.test-support.js";
import type { SearchEngine } from "../engine.js";
import { SearchService } from "./service.js";
import type { SearchServiceSettings } from "./service.js";

export interface InProcess extends Asked {
  service: SearchService;
}

export function inProcess(
  engine: SearchEngine | Promise<SearchEngine>,
  settings?: Partial<SearchServiceSettings>,
  reserve?: (bytes: number) => boolean,
): InProcess {
  const service = new SearchService(engine, settings);
  return { service, ...inProcessOf(service, reserve) };
}
