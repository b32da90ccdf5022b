/** @file The one conformance suite over each service's protocol, on a real port. */
import { Bm25Engine } from "../bm25/engine.js";
import { searchConformance } from "../conformance.js";
import type { MakeEngine } from "../conformance.js";
import { WebEngine } from "./engine.js";
import { webProviders } from "./providers.js";
import type { WebEngineName } from "./providers.js";
import { addressOf, serviceKey, startService } from "./services.test-support.js";

const over =
  (provider: WebEngineName): MakeEngine =>
  async (passages) => {
    const service = await startService(provider, Bm25Engine.fromPassages(passages));
    const engine = new WebEngine({ provider, keys: [serviceKey, "engine-id"], endpoint: service.url });
    const close = engine.close.bind(engine);
    let closing: Promise<void> | undefined;
    engine.close = () => (closing ??= close().then(() => service.close()));
    return engine;
  };

for (const name of Object.keys(webProviders) as WebEngineName[])
  searchConformance(`web, ${name}`, over(name), {
    ranking: "own",
    // Addresses are ids here, and texts are put on one line.
    shown: ({ id, title, text }) => ({ id: addressOf(id), title, text: text.replace(/\s+/g, " ").trim() }),
  });
