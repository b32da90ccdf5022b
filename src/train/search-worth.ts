/** @file How often search finds an answer to the questions of a run, told before it begins: it bounds what can be learnt. */
import { linkedController } from "../async.js";
import { findAnswers, foreignEvidence, hitRate } from "../eval/hits.js";
import { formatShare } from "../eval/table.js";
import { Random } from "../random.js";
import { engines, enginesNamed, takesOneQueryPerRequest } from "../search/registry.js";
import type { Question } from "../types.js";
import type { Config } from "./config/config.js";
import type { Notice } from "./notices.js";
import type { OpenedSearch } from "./open-search.js";
import { searchesAtAll } from "../rollout/methods/named.js";

/** Questions that are searched with: fewer where servers are asked. */
const most = { here: 200, atServers: 64 };
/** Fewer say too little. */
const fewest = 8;
/** Time for all of it; what is found by then is told. */
const mostMs = 5_000;
/** How deep a policy could look if `search.topK` were raised. */
const deep = 10;
/** Below this hit@10 something is most likely wrong. */
const suspicious = 0.2;

/** Controls, which find what they find. */
const controls = ["random", "empty", "none"];

/**
 * hit@topK and hit@10 over a sample of the questions, with the questions as queries. Undefined where that would cost requests, fill or miss a record of
 * answers, or say nothing: web search, budgets, caches, controls, the built-in world, and few
 * questions.
 * @throws the signal's reason
 */
export async function searchWorth(
  config: Config,
  { value: engine, isBuiltIn }: OpenedSearch,
  questions: readonly Question[],
  signal?: AbortSignal,
): Promise<Notice | undefined> {
  const { topK, timeoutMs } = config.search;
  const asked = isBuiltIn || !searchesAtAll(config.rollout) || !isFree(config) ? [] : sample(questions, config);
  if (asked.length < fewest) return undefined;
  const ranks: (number | null)[] = [];
  const evidenceRanks: (number | null)[] = [];
  const { controller, release } = linkedController(signal);
  const timeIsUp = new Error("internal: time to measure search is up");
  const timer = setTimeout(() => controller.abort(timeIsUp), mostMs);
  try {
    const options = { k: Math.max(deep, topK), timeoutMs, signal: controller.signal };
    for await (const { rank, evidenceRank } of findAnswers(engine, asked, options)) {
      ranks.push(rank);
      if (evidenceRank !== undefined) evidenceRanks.push(evidenceRank);
    }
  } catch (error) {
    signal?.throwIfAborted();
    const message = `What search finds could not be measured: ${error instanceof Error ? error.message : String(error)}`;
    if (error !== timeIsUp) return { kind: "warning", message };
  } finally {
    clearTimeout(timer);
    release();
  }
  return ranks.length < fewest ? undefined : describe(ranks, questions.length, topK, foreignEvidence(evidenceRanks));
}

function isFree({ search: { engine, maxRequests, cache } }: Config): boolean {
  return !controls.includes(engine) && !takesOneQueryPerRequest(engine) && maxRequests === 0 && cache === "";
}

function sample(questions: readonly Question[], { search, train }: Config): Question[] {
  const asksServers = enginesNamed(search.engine).some((name) => engines[name].asksServers === true);
  return new Random(train.seed, "search-worth")
    .shuffle(questions.filter(({ answers }) => answers.length > 0))
    .slice(0, asksServers ? most.atServers : most.here);
}

function describe(ranks: readonly (number | null)[], questions: number, topK: number, foreign?: string): Notice {
  const depths = [...new Set([topK, Math.max(deep, topK)])];
  const hits = depths.map((depth) => `hit@${depth} ${formatShare(hitRate(ranks, depth))}`).join(", ");
  const found = `Search finds an answer to the question as it stands: ${hits}, measured on ${ranks.length} of ${questions} questions.`;
  if (foreign !== undefined) return { kind: "warning", message: `${found} ${foreign}` };
  if (hitRate(ranks, deep).high < suspicious)
    return {
      kind: "warning",
      message: `${found} Most of them cannot be answered with what is found. \`sleuth search --questions\` shows which.`,
    };
  const bound = `hit@${topK} (search.topK) bounds what one search can teach, but for better queries; and an answer may stand in a passage that is no evidence for it.`;
  return { kind: "note", message: `${found} ${bound}` };
}
