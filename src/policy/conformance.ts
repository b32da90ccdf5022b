/**
 * @file The suite that every policy passes, whatever its engine. An implementation's test file makes a policy with a
 * small model and calls `policyConformance`; what it cannot do it names, with a reason that stands in the report.
 * Those cases run too, and must fail: once an engine can do what it was said to lack, the suite says so.
 * Needs vitest, so it is no part of the published package.
 */
import { afterAll, afterEach, beforeAll, describe, it } from "vitest";
import { criticCases } from "./conformance-critic.js";
import { samplingCases } from "./conformance-sampling.js";
import { trainingCases } from "./conformance-training.js";
import { practise } from "./conformance-practise.js";
import type { Policy } from "../contracts/policy.js";

export interface ConformanceContext {
  /** Shared by all cases: gradients may be computed and measured, but no weight is changed, and nobody closes it. */
  policy: Policy;
  /** Another one shared by all cases in the same way: it and its critic have taken some steps, so that nothing is at its start. */
  practised(): Promise<Policy>;
  /** A fresh policy with the same weights as the shared one, closed after the case. */
  make(): Promise<Policy>;
}

export interface ConformanceCase {
  name: string;
  run(context: ConformanceContext): Promise<void>;
}

/** Cases that an engine is known to fail. */
export interface ConformanceLack {
  reason: string;
  /** Names of cases, exactly. */
  tests: readonly string[];
}

/**
 * Declares the suite.
 * @param makePolicy Makes a policy; all of them with the same weights, a context of at least 48 tokens, a
 *   vocabulary small enough to try every token (at most a few hundred), and a critic.
 * @param options.cases of an engine that only samples: `samplingCases`. Default all.
 */
export function policyConformance(
  name: string,
  makePolicy: () => Promise<Policy> | Policy,
  options: { lacks?: readonly ConformanceLack[]; timeoutMs?: number; cases?: readonly ConformanceCase[] } = {},
): void {
  const { lacks = [], timeoutMs = 60_000, cases = [...samplingCases, ...trainingCases, ...criticCases] } = options;
  const reasons = new Map(lacks.flatMap(({ reason, tests }) => tests.map((test) => [test, reason] as const)));
  for (const test of reasons.keys()) {
    if (!cases.some((one) => one.name === test))
      throw new Error(`There is no conformance test named "${test}" to lack.`);
  }

  describe(`${name} conforms to the contract of a policy`, () => {
    let policy: Policy;
    let shared: Promise<Policy> | undefined;
    const practised = (): Promise<Policy> => (shared ??= Promise.resolve(makePolicy()).then(practise));
    const opened: Policy[] = [];
    const make = async (): Promise<Policy> => {
      const fresh = await makePolicy();
      opened.push(fresh);
      return fresh;
    };
    beforeAll(async () => {
      policy = await makePolicy();
    }, timeoutMs);
    afterEach(async () => {
      await Promise.all(opened.splice(0).map((fresh) => fresh.close()));
    }, timeoutMs);
    afterAll(async () => {
      await policy.close();
      await (await shared)?.close();
    }, timeoutMs);

    for (const { name: test, run } of cases) {
      const reason = reasons.get(test);
      if (reason !== undefined)
        it.fails(`lacks: ${test} (${reason})`, () => run({ policy, practised, make }), timeoutMs);
      else it(test, () => run({ policy, practised, make }), timeoutMs);
    }
  });
}
