import { describe, expect, it } from "vitest";
import { Bm25Engine } from "./engine.js";

describe("the score", () => {
  const passages = [
    { id: "a", title: "", text: "lima lima peru" },
    { id: "b", title: "", text: "lima owl owl owl owl" },
    { id: "c", title: "", text: "owl" },
  ];

  it("is Lucene's, worked out by hand", async () => {
    // N = 3, n(lima) = 2, n(peru) = 1, mean length 3; norms for k1 0.9, b 0.4 at lengths 3 and 5: 0.9 and 1.14.
    const [list] = await Bm25Engine.fromPassages(passages).searchBatch(["lima peru"], 3);
    expect(list.map(({ id }) => id)).toEqual(["a", "b"]);
    expect(list[0].score).toBeCloseTo(Math.log(1 + 1.5 / 2.5) * (2 / 2.9) + Math.log(1 + 2.5 / 1.5) * (1 / 1.9), 14);
    expect(list[1].score).toBeCloseTo(Math.log(1.6) / 2.14, 14);
  });

  it("counts a term of the query as often as it is asked, and indexes the title", async () => {
    const engine = Bm25Engine.fromPassages([{ id: "t", title: "Peru", text: "" }, ...passages]);
    const [[once], [twice]] = await engine.searchBatch(["peru", "peru Peru's"], 1);
    expect(once.id).toBe("t");
    expect(twice.score).toBeCloseTo(2 * once.score, 14);
  });

  it("an engine without passages finds nothing", async () => {
    expect(await Bm25Engine.fromPassages([]).searchBatch(["lima"], 3)).toEqual([[]]);
  });

  it("other work on the thread gets its turn during a large batch", async () => {
    const many = Array.from({ length: 10_000 }, (_, id) => ({ id: `${id}`, title: "", text: `lima owl n${id % 97}` }));
    const engine = Bm25Engine.fromPassages(many);
    let turns = 0;
    const watch = (): void => {
      turns++;
      timer = setImmediate(watch);
    };
    let timer = setImmediate(watch);
    // Far more than five times the 8 ms after which the engine pauses.
    await engine.searchBatch(
      Array.from({ length: 500 }, () => "lima owl"),
      3,
    );
    clearImmediate(timer);
    expect(turns).toBeGreaterThan(5);
  });
});
