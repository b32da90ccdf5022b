/**
 * @file The search engines, a row each. The names in run files and on the command line, the checks of settings, prices and the columns of
 * `sleuth search` derive from this table: a new engine is a new row, a new service of the web one of `web/providers.ts`. A new own setting
 * also has to change what recorded answers are known by (`middleware/identity.ts`; a test asks for it).
 */
import { nearest, UserError } from "../errors.js";
import type { EngineContext, EngineSettings } from "./settings.js";
import type { SearchEngine } from "./engine.js";
import { webProviders } from "./web/providers.js";
import type { WebEngineName } from "./web/providers.js";

/** Settings that concern some engines alone, in the order in which they are checked. */
export const ownSettings = [
  "url",
  "collection",
  "encoder",
  "encoderModel",
  "k1",
  "b",
  "pages",
  "index",
  "seed",
] as const;
export type OwnSetting = (typeof ownSettings)[number];

export interface EngineRow {
  /** Opens the engine. It loads its modules here: most runs need one engine. */
  open(settings: EngineSettings, context: EngineContext): Promise<SearchEngine>;
  /** The own settings that it reads. */
  reads?: readonly OwnSetting[];
  /** Those that it reads and cannot do without, each with what the user should do where it is empty. */
  needs?: { readonly [Setting in OwnSetting]?: string };
  /** Whether every search is a request to a server. */
  asksServers?: boolean;
  /**
   * Whether a request holds one query, as with search services of the web. Queries of different callers are then not asked together, since all
   * would wait for the slowest and fail with one that is refused; fused, the engine is asked for its first page of results only.
   */
  onePerRequest?: boolean;
  /** US dollars per thousand requests, by its list; absent: nothing. */
  pricePerThousand?: number;
  /** Where its passages come from, for model cards; absent: the corpus or the index of the run. */
  source?: string;
  /** Why it cannot be fused with others, after its name. */
  alone?: string;
}

const address = "Set search.url, for example http://127.0.0.1:8000/retrieve.";

const webRow = (name: WebEngineName): EngineRow => ({
  open: async (settings, context) => (await import("./web/engine.js")).openWeb(name, settings, context),
  reads: ["pages"],
  ...(webProviders[name].endpoint === undefined ? { needs: { url: address } } : {}),
  asksServers: true,
  onePerRequest: true,
  pricePerThousand: webProviders[name].pricePerThousand,
  source: "the web",
});

const webNames = Object.keys(webProviders) as WebEngineName[];
const webRows = Object.fromEntries(webNames.map((name) => [name, webRow(name)])) as Record<WebEngineName, EngineRow>;

const rows = {
  bm25: {
    open: async (settings, context) => (await import("./bm25/open.js")).openBm25(settings, context),
    reads: ["index", "k1", "b"],
  },
  dense: {
    open: async (settings, context) => (await import("./dense/open.js")).openDense(settings, context),
    reads: ["index", "encoder", "encoderModel"],
  },
  lancedb: {
    open: async (settings, context) => (await import("./dense/open.js")).openLance(settings, context),
    reads: ["index", "collection", "encoder", "encoderModel"],
  },
  http: {
    open: async (settings, context) => (await import("./remote/open.js")).openHttp(settings, context),
    needs: { url: address },
    asksServers: true,
    source: "a search server",
  },
  opensearch: {
    open: async (settings, context) => (await import("./remote/open.js")).openOpenSearch(settings, context),
    needs: { url: address, collection: "Name the index to search." },
    asksServers: true,
    source: "an OpenSearch index",
  },
  qdrant: {
    open: async (settings, context) => (await import("./remote/open.js")).openQdrant(settings, context),
    reads: ["encoderModel"],
    needs: {
      url: address,
      collection: "Name the collection to search.",
      encoder:
        "Name the encoder that made the collection's vectors: a folder, hf:ORG/NAME or the address of an /v1/embeddings endpoint.",
    },
    asksServers: true,
    source: "a Qdrant collection",
  },
  ...webRows,
  random: {
    open: async (settings, context) => (await import("./controls.js")).openRandom(settings, context),
    reads: ["index", "seed"],
  },
  empty: {
    open: async () => new (await import("./controls.js")).EmptyEngine(),
    source: "none",
  },
  none: {
    open: async () => new (await import("./controls.js")).NoneEngine(),
    source: "none",
    alone: "stands for no search at all",
  },
} satisfies Record<string, EngineRow>;

export type EngineName = keyof typeof rows;

/** The table, by the names that run files and the command line use. */
export const engines: Record<EngineName, EngineRow> = rows;

export const engineNames = Object.keys(engines) as readonly EngineName[];

/** For messages. */
export const engineList: string = engineNames.join(", ");

/** Whether a text is the name of an engine, or of several joined by +. */
export function areEngines(text: string): boolean {
  return text.split("+").every(isEngineName);
}

/**
 * The engines that a name like `bm25` or `bm25+dense` stands for.
 * @throws UserError for an unknown name
 */
export function enginesNamed(engine: string): EngineName[] {
  const names = engine.split("+");
  for (const name of names) {
    if (isEngineName(name)) continue;
    const hint = nearest(name, engineNames);
    throw new UserError(
      `There is no search engine "${name}". ${hint === undefined ? `Engines: ${engineList}.` : `Did you mean ${hint}?`}`,
    );
  }
  return names as EngineName[];
}

/** Whether an engine makes use of one of the own settings. */
export function readsSetting(name: EngineName, setting: OwnSetting): boolean {
  const { reads = [], needs = {} } = engines[name];
  return reads.includes(setting) || setting in needs;
}

/** Whether one of the engines that a name stands for takes one query a request; unknown names are ignored. */
export function takesOneQueryPerRequest(engine: string): boolean {
  return engine.split("+").some((name) => isEngineName(name) && engines[name].onePerRequest === true);
}

function isEngineName(name: string): name is EngineName {
  return Object.hasOwn(engines, name);
}
