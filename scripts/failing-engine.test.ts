import { describe, expect, it } from "vitest";
import { EmptyEngine } from "../src/search/controls.js";
import { FailingEngine } from "./failing-engine.js";
import type { FailureKind } from "./failing-engine.js";

const queries = Array.from({ length: 400 }, (_, index) => `query ${index}`);
const make = (share: number, kinds?: readonly FailureKind[], seed = 3): FailingEngine =>
  new FailingEngine(new EmptyEngine(), { share, seed, ...(kinds && { kinds }) });

/** Which of the queries fail, asked one by one. */
async function failuresOf(engine: FailingEngine): Promise<boolean[]> {
  const failed: boolean[] = [];
  for (const query of queries)
    failed.push(
      await engine.searchBatch([query], 1).then(
        () => false,
        () => true,
      ),
    );
  return failed;
}

describe("FailingEngine", () => {
  it("fails a share of the searches, the same ones in every repetition, others for another seed", async () => {
    const engine = make(0.25, ["error"]);
    const failed = await failuresOf(engine);
    const count = failed.filter(Boolean).length;
    expect(count).toBeGreaterThan(60);
    expect(count).toBeLessThan(140);
    expect(await failuresOf(make(0.25, ["error"]))).toEqual(failed);
    expect(await failuresOf(make(0.25, ["error"], 4))).not.toEqual(failed);
    expect(engine.counts()).toEqual({ injectedFailures: count });
  });

  it("may answer when it is asked again, and fails the batch of a failing query", async () => {
    const engine = make(0.25, ["error"]);
    const [first, second] = [await failuresOf(engine), await failuresOf(engine)];
    expect(first.some((failed, index) => failed && !second[index])).toBe(true);
    await expect(make(0.25, ["error"]).searchBatch(queries, 1)).rejects.toMatchObject({ isRetryable: true });
  });

  it("hangs until the caller gives up or the engine is closed", async () => {
    const engine = make(1, ["hang"]);
    const reason = new Error("enough");
    const controller = new AbortController();
    const search = engine.searchBatch(["a"], 1, { signal: controller.signal });
    const other = engine.searchBatch(["b"], 1);
    controller.abort(reason);
    await expect(search).rejects.toBe(reason);
    await Promise.all([expect(other).rejects.toThrow(/closed/), engine.close()]);
  });

  it("answers nonsense of two sorts", async () => {
    const engine = make(1, ["nonsense"]);
    const answers = [await engine.searchBatch(["a", "b"], 1), await engine.searchBatch(["a", "b"], 1)];
    expect(answers.map((lists) => lists.length)).toEqual([2, 1]);
    expect(answers[0][0][0].text).toBeUndefined();
  });
});
