import { describe, expect, it } from "vitest";
import { scriptedPolicy } from "../policy/scripted.js";
import { byteTokenizer } from "../policy/testing.js";
import { atlas } from "../prompts/protocol.js";
import { exactMatch } from "../rewards/exact-match.js";
import { batchedSearch } from "./batched-search.js";
import { engineOf, options, passage, question } from "./fixtures.test-support.js";
import type { GroupOptions, GroupRequest, TrajectoryEvent } from "./groups.js";
import { groupKey, rolloutGroup, rolloutGroups, trajectorySeed } from "./groups.js";

const request = (index: number, source = "nq"): GroupRequest => ({
  question: { ...question, id: `${source}-${index}` },
  source,
  split: "train",
  index,
  draw: 0,
});
const twoTurns = (prefix: string): string =>
  prefix.includes("<information>") ? "<answer>Paris</answer>" : "<search>q</search>";
const groupOptions = (changes: Partial<GroupOptions> = {}): GroupOptions => ({
  ...options(twoTurns),
  runSeed: 7,
  score: exactMatch,
  ...changes,
});

describe("groups", () => {
  it("keep order, count and rewards, and report each trajectory once", async () => {
    const events: TrajectoryEvent[] = [];
    const requests = [request(0), request(1), request(0, "hotpotqa")];
    const groups = await rolloutGroups(requests, 4, groupOptions({ onTrajectory: (event) => events.push(event) }));
    expect(groups.map((group) => group.request)).toEqual(requests);
    for (const { question: asked, trajectories_G, rewards_G } of groups) {
      expect(trajectories_G.map(({ questionId }) => questionId)).toEqual(Array(4).fill(asked.id));
      expect(rewards_G).toEqual([1, 1, 1, 1]);
    }
    expect(new Set(events.map((event) => `${groupKey(event.request)} ${event.member}`)).size).toBe(12);
  });

  it("every trajectory has a seed of its own that depends on nothing else", async () => {
    const seeds = new Set<number>();
    for (const source of ["nq", "hotpotqa"])
      for (const index of [0, 1])
        for (const draw of [0, 1])
          for (const member of [0, 1]) seeds.add(trajectorySeed(7, { ...request(index, source), draw }, member));
    expect(seeds.size).toBe(16);

    const seedsOf = async (requests: GroupRequest[], maxConcurrent?: number): Promise<(number | undefined)[]> => {
      const setup = options(() => "<answer>x</answer>");
      await rolloutGroups(requests, 2, groupOptions({ ...setup, maxConcurrent }));
      return setup.policy.calls.map((call) => call.options.seed);
    };
    const alone = await seedsOf([request(1)]);
    expect(await seedsOf([request(0), request(1)], 1)).toEqual([...(await seedsOf([request(0)])), ...alone]);
  });

  it("runs at most maxConcurrent at once", async () => {
    let active = 0;
    let most = 0;
    const script = async (): Promise<string> => {
      most = Math.max(most, ++active);
      await new Promise((resolve) => setTimeout(resolve, 1));
      active--;
      return "<answer>x</answer>";
    };
    await rolloutGroups([request(0), request(1)], 4, groupOptions({ ...options(script), maxConcurrent: 3 }));
    expect(most).toBe(3);
  });

  it("one failure cancels the others and is thrown", async () => {
    let aborted = 0;
    const policy = scriptedPolicy({ tokenizer: byteTokenizer(atlas), script: [] });
    const sample: typeof policy.sample = (prefix_T, { signal }) => {
      if (policy.tokenizer.decode(prefix_T).includes("broken")) return Promise.reject(new Error("worker died"));
      return new Promise((_, reject) => {
        signal?.addEventListener("abort", () => {
          aborted++;
          reject(signal.reason);
        });
      });
    };
    const broken = { ...request(1), question: { ...question, question: "broken" } };
    const running = rolloutGroups([request(0), broken], 1, groupOptions({ policy: { ...policy, sample } }));
    await expect(running).rejects.toThrow("worker died");
    expect(aborted).toBe(1);
  });

  it("an abort yields cancelled trajectories, not an error", async () => {
    const group = await rolloutGroup(request(0), 3, groupOptions({ signal: AbortSignal.abort() }));
    expect(group.trajectories_G.map(({ finishReason }) => finishReason)).toEqual(Array(3).fill("cancelled"));
  });

  it("of one tick search together, each query once", async () => {
    const engine = engineOf((query) => [passage(query)]);
    await rolloutGroups([request(0), request(1)], 8, groupOptions({ search: batchedSearch(engine) }));
    expect(engine.batches).toEqual([["q"]]);
  });
});
