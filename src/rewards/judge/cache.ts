/** @file Verdicts on disk: one small file each, written aside and renamed, so that processes may share a folder and a kill leaves nothing half-written. */
import { createHash, randomUUID } from "node:crypto";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { UserError } from "../../errors.js";
import { moveIntoPlace } from "../../files/durable.js";

export interface VerdictCache {
  /** undefined where nothing is known, also where a file is damaged. */
  get(key: string): Promise<number | undefined>;
  set(key: string, verdict: number): Promise<void>;
}

/** What makes a verdict: the same parts, the same verdict. */
export function cacheKey(parts: object): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex");
}

/** Forgets everything. */
export const noCache: VerdictCache = { get: () => Promise.resolve(undefined), set: () => Promise.resolve() };

/**
 * A cache in a folder, which is made if it is not there.
 * @throws UserError when it cannot be written
 */
export async function openVerdictCache(folder: string): Promise<VerdictCache> {
  const fileOf = (key: string): string => path.join(folder, key.slice(0, 2), `${key}.json`);
  const write = async (file: string, text: string): Promise<void> => {
    await mkdir(path.dirname(file), { recursive: true });
    await moveIntoPlace(file, (temporary) => writeFile(temporary, text, { flag: "wx" }));
  };
  try {
    const probe = path.join(folder, `${randomUUID()}.tmp`);
    await write(probe, "");
    await rm(probe);
  } catch (cause) {
    throw new UserError(
      `The judge's verdicts cannot be kept in ${folder}: ${(cause as Error).message}. Choose another folder with reward.judgeCache, or none to ask anew each time.`,
      { cause },
    );
  }
  return {
    async get(key) {
      try {
        const { verdict } = JSON.parse(await readFile(fileOf(key), "utf8")) as { verdict?: unknown };
        return typeof verdict === "number" && verdict >= 0 && verdict <= 1 ? verdict : undefined;
      } catch {
        return undefined;
      }
    },
    set: (key, verdict) => write(fileOf(key), `${JSON.stringify({ verdict })}\n`),
  };
}
