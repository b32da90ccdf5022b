/** @file The engines that `sleuth search` is given, opened: one, or several side by side. */
import { settingsOf } from "../search/contradictions.js";
import { SearchError, type SearchEngine } from "../search/engine.js";
import { engineOf, enginesIn } from "../search/locate-index.js";
import { openEngine } from "../search/open.js";
import { defaultEngineSettings, type EngineSettings } from "../search/settings.js";

/** The settings with an engine: where none is named, the first whose index the folder holds. */
export async function withEngine(settings: Partial<EngineSettings>): Promise<Partial<EngineSettings>> {
  if (settings.engine !== undefined || settings.index === undefined) return settings;
  const engine = (await engineOf(settings.index)) ?? (await enginesIn(settings.index))[0];
  return engine === undefined ? settings : { ...settings, engine };
}

/** An engine under its name. */
export interface OpenColumn {
  name: string;
  timeoutMs: number;
  engine?: SearchEngine;
  /** Why it could not be opened. */
  failure?: unknown;
}

/** Opens all engines at once. One that cannot be opened is a column that says so, unless it is the only one. */
export async function openColumns(settings: Partial<EngineSettings>, topK: number): Promise<OpenColumn[]> {
  const names = (settings.engine ?? defaultEngineSettings.engine).split(",").map((name) => name.trim());
  const { timeoutMs = defaultEngineSettings.timeoutMs } = settings;
  if (names.length === 1)
    return [{ name: names[0], timeoutMs, engine: await openEngine({ ...settings, engine: names[0], topK }) }];
  return Promise.all(
    names.map(async (name) => {
      try {
        return { name, timeoutMs, engine: await openEngine({ ...settingsOf(name, settings), topK }) };
      } catch (failure) {
        return { name, timeoutMs, failure };
      }
    }),
  );
}

/** Closes those that were opened. */
export async function closeColumns(columns: readonly OpenColumn[]): Promise<void> {
  await Promise.allSettled(columns.flatMap(({ engine }) => (engine === undefined ? [] : [engine.close()])));
}

export function tooLate(engine: string, timeoutMs: number): SearchError {
  const message = `There was no answer within ${timeoutMs / 1000} s. Allow more with --timeout-ms.`;
  return new SearchError(message, { engine, isRetryable: true });
}
