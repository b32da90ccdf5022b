/** @file A scripted policy, a search engine that behaves as told, and options small enough to reason about. */
import type { Script, ScriptedPolicy } from "../policy/scripted.js";
import { scriptedPolicy } from "../policy/scripted.js";
import { byteTokenizer } from "../policy/testing.js";
import type { Protocol } from "../prompts/protocol.js";
import { atlas } from "../prompts/protocol.js";
import type { SearchEngine } from "../search/engine.js";
import type { Passage, Question, Trajectory } from "../types.js";
import type { RolloutOptions } from "./rollout.js";

export const question: Question = { id: "q1", question: "Capital of France?", answers: ["Paris"] };

export function passage(text: string, title = "T"): Passage {
  return { id: text, title, text, score: 1 };
}

/** An engine that answers each query with `find`, and records what it was asked. */
export function engineOf(
  find: (query: string, signal?: AbortSignal) => Passage[] | Promise<Passage[]>,
): SearchEngine & { batches: string[][] } {
  const batches: string[][] = [];
  return {
    name: "fake",
    batches,
    searchBatch: (queries, _k, options) => {
      batches.push([...queries]);
      return Promise.all(queries.map(async (query) => find(query, options?.signal)));
    },
    close: () => Promise.resolve(),
  };
}

export const paris = engineOf(() => [passage("Paris is the capital of France.", "France")]);

export function options(
  script: Script,
  changes: Partial<RolloutOptions> = {},
): RolloutOptions & { policy: ScriptedPolicy } {
  const protocol: Protocol = changes.protocol ?? atlas;
  const policy = scriptedPolicy({ tokenizer: byteTokenizer(protocol), script });
  const defaults = { search: paris, maxSearches: 2, topK: 3, maxTokensPerTurn: 200, maxTokens: 2000 };
  return { ...defaults, maxObservationTokens: 400, ...changes, policy: { ...policy, ...changes.policy }, protocol };
}

/** Role and text of every segment. */
export function story(trajectory: Trajectory): string[] {
  return trajectory.segments.map(({ role }, index) => `${role}: ${trajectory.texts[index]}`);
}
