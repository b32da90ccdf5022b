import { expect, it } from "vitest";
import { fuzzServer, serverRssLimitMb } from "./server.js";

it("a search server bears clients that misbehave: the short form of the load patterns", async () => {
  const { patterns } = await fuzzServer({ seed: 1, short: true });
  expect(patterns.filter(({ failures }) => failures.length > 0)).toEqual([]);
  for (const { peakRssMb } of patterns) expect(peakRssMb).toBeLessThan(serverRssLimitMb);
});
