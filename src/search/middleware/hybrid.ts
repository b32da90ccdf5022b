/** @file Several engines asked at the same time, their rankings fused into one. */
import { nextTurn, withDeadline } from "../../async.js";
import type { Passage } from "../../types.js";
import { SearchError, addCounts, checkCount, checkSignal, withMarks } from "../engine.js";
import type { Counts, PassageList, SearchEngine } from "../engine.js";
import { PassageMap } from "../same-passage.js";
import { WrappedEngine, layerOf } from "./wrap.js";
import type { Layer } from "./wrap.js";

export interface HybridMember {
  engine: SearchEngine;
  /** What a place in this engine's ranking counts; 0 and more. Default 1. */
  weight?: number;
  /** Passages asked of this engine, whatever `k`. Default: the hybrid's depth. */
  depth?: number;
}

export interface HybridSettings {
  /** The k of the formula: the larger, the less the first places count for. */
  k0: number;
  /** Passages asked of every member, whatever `k`: so a smaller `k` is a prefix of a larger one. */
  depth: number;
  /** `go-on`: the others answer, and it is counted; only when all fail the search fails. `fail`: one failing member fails the search. */
  whenMemberFails: "go-on" | "fail";
  /** Longest wait for a member; after it the member has failed. 0: no bound of its own. Milliseconds. */
  memberTimeoutMs: number;
}

const defaults: HybridSettings = { k0: 60, depth: 50, whenMemberFails: "go-on", memberTimeoutMs: 0 };

/** A member with its settings. */
interface Member {
  layer: Layer;
  weight: number;
  depth: number;
  idsArePassages: boolean;
}

/** A passage with the score that it has so far. */
interface Candidate {
  passage: Passage;
  /** The last member that found it. */
  member: Member;
  /** Whether all members that found it have ids of passages. */
  idsArePassages: boolean;
}

/** Some milliseconds of fusing. */
const queriesPerTurn = 64;

/**
 * Reciprocal rank fusion (Cormack, Clarke, Büttcher 2009, doi:10.1145/1571941.1572114):
 *
 *     score(d) = Σ over members of weight / (k0 + rank of d there), ranks from 1
 *
 * 1. A passage is known by its id and text, or, without an id, by title and text: chunks of one document may share its id. Between members
 *    whose ids are passages' (pages of the web) the id alone counts, and it has the text of the first member that found it.
 * 2. Equal scores keep the order of the members, then of their ranks.
 * 3. Members see `depth` passages, never `k`: no more than members × depth passages can be had.
 */
export class HybridEngine extends WrappedEngine {
  /** Closing it closes the members. @throws RangeError as `fused` */
  constructor(members: readonly HybridMember[], settings: Partial<HybridSettings> = {}) {
    super(fused(members, settings));
  }
}

/**
 * The members' rankings as one.
 * @throws RangeError for fewer than two members, and for invalid weights, k0 or depths
 */
export function fused(members: readonly HybridMember[], settings: Partial<HybridSettings> = {}): Layer {
  return new Fused(members, { ...defaults, ...settings });
}

class Fused implements Layer {
  readonly name: string;
  readonly #members: readonly Member[];
  readonly #settings: HybridSettings;
  #memberFailures = 0;

  constructor(members: readonly HybridMember[], settings: HybridSettings) {
    const { k0, depth: usual } = settings;
    this.#settings = settings;
    this.#members = members.map(({ engine, weight = 1, depth = usual }) => ({
      layer: layerOf(engine),
      ...{ weight, depth, idsArePassages: engine.idsArePassages === true },
    }));
    this.name = members.map(({ engine }) => engine.name).join("+");
    if (members.length < 2) throw new RangeError("A hybrid has at least two engines.");
    for (const { weight, depth } of this.#members) {
      checkCount(depth);
      if (!Number.isFinite(weight) || weight < 0) throw new RangeError(`A weight is 0 or more, got ${weight}.`);
    }
    if (!Number.isFinite(k0) || k0 < 0) throw new RangeError(`k0 is 0 or more, got ${k0}.`);
  }

  async search(queries: readonly string[], k: number, { signal }: { signal?: AbortSignal }): Promise<PassageList[]> {
    const answers = await this.#ask(queries, signal);
    const lacksMember = answers.some((lists) => lists === undefined);
    const results: PassageList[] = [];
    for (const index of queries.keys()) {
      const rankings = answers.map((lists) => lists?.[index]);
      const given = rankings.filter((ranking) => ranking !== undefined);
      const partial = lacksMember || given.some((ranking) => ranking.partial) || undefined;
      const refused = given.every((ranking) => ranking.refused !== undefined) ? given[0].refused : undefined;
      results.push(withMarks(this.#fuse(rankings).slice(0, k), { partial, refused }));
      // Large batches must not hold up the event loop.
      if (index % queriesPerTurn === queriesPerTurn - 1) {
        await nextTurn();
        checkSignal(signal);
      }
    }
    return results;
  }

  counts(): Counts {
    return addCounts(...this.#members.map(({ layer }) => layer.counts()), { memberFailures: this.#memberFailures });
  }

  async close(): Promise<void> {
    await Promise.all(this.#members.map(({ layer }) => layer.close()));
  }

  /** What each member answers; undefined for one that failed. */
  async #ask(
    queries: readonly string[],
    signal: AbortSignal | undefined,
  ): Promise<readonly (readonly PassageList[] | undefined)[]> {
    const failed = new AbortController();
    const answers = await Promise.allSettled(
      this.#members.map(async (member) => {
        try {
          return await this.#askMember(member, queries, [failed.signal, signal]);
        } catch (error) {
          if (this.#settings.whenMemberFails === "fail") failed.abort(error);
          throw error;
        }
      }),
    );
    checkSignal(signal);
    const reasons = answers.flatMap((answer) => (answer.status === "rejected" ? [answer.reason as unknown] : []));
    this.#memberFailures += reasons.length;
    if (failed.signal.aborted) throw failed.signal.reason;
    if (reasons.length === answers.length) throw this.#everyoneFailed(reasons);
    return answers.map((answer) => (answer.status === "fulfilled" ? answer.value : undefined));
  }

  /** Ends with the first signal or the deadline, even if the member ignores both. */
  #askMember(
    { layer, depth }: Member,
    queries: readonly string[],
    signal: readonly (AbortSignal | undefined)[],
  ): Promise<readonly PassageList[]> {
    const { memberTimeoutMs } = this.#settings;
    const why = `${layer.name}: no answer within ${memberTimeoutMs} ms`;
    return withDeadline((own) => layer.search(queries, depth, { signal: own }), {
      timeoutMs: memberTimeoutMs > 0 ? memberTimeoutMs : Infinity,
      signal,
      late: () => new SearchError(why, { engine: layer.name, isRetryable: true }),
    });
  }

  /** @param rankings of each member; undefined for one that failed */
  #fuse(rankings: readonly (readonly Passage[] | undefined)[]): Passage[] {
    const known = new PassageMap<Candidate>();
    const fused: Passage[] = [];
    for (const [index, ranking = []] of rankings.entries()) {
      const member = this.#members[index];
      const { weight, idsArePassages } = member;
      for (const [place, passage] of ranking.entries()) {
        const candidate = known.get(passage, (other) => idsArePassages && other.idsArePassages);
        if (candidate?.member === member) continue;
        const score = weight / (this.#settings.k0 + place + 1);
        if (candidate !== undefined) {
          candidate.passage.score += score;
          candidate.member = member;
          candidate.idsArePassages &&= idsArePassages;
          continue;
        }
        const own = { ...passage, score };
        fused.push(own);
        known.add(passage, { passage: own, member, idsArePassages });
      }
    }
    // The sort is stable: ties keep the order of insertion.
    return fused.sort((a, b) => b.score - a.score);
  }

  #everyoneFailed(reasons: readonly unknown[]): SearchError {
    const why = reasons.map((reason) => (reason instanceof Error ? reason.message : String(reason)));
    return new SearchError(`Every engine of ${this.name} failed. ${why.join(" ")}`, {
      engine: this.name,
      isRetryable: reasons.some((reason) => reason instanceof SearchError && reason.isRetryable),
      cause: reasons[0],
    });
  }
}
