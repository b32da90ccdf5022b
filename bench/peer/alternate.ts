/** @file Measuring two sides against each other: in turns, so that whatever slows the machine down for a while slows both. */
import { median } from "../smollm2.js";

/** Each does its work once and says how many seconds it took. */
export type Sides<K extends string> = Record<K, () => Promise<number>>;

/** Median seconds of each side over rounds A B C A B C …, after `warmUp` rounds that do not count. */
export async function alternate<K extends string>(
  sides: Sides<K>,
  { rounds, warmUp }: { rounds: number; warmUp: number },
): Promise<Record<K, number>> {
  const names = Object.keys(sides) as K[];
  const times = new Map<K, number[]>(names.map((name) => [name, []]));
  for (let round = -warmUp; round < rounds; round++) {
    for (const name of names) {
      const seconds = await sides[name]();
      if (round >= 0) times.get(name)?.push(seconds);
    }
  }
  return Object.fromEntries(names.map((name) => [name, median(times.get(name) ?? [])])) as Record<K, number>;
}
