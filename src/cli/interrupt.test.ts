/** @file A process that is stopped at once leaves no temporary weights behind. */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { makeTinyModel } from "../policy/local/tiny-model.test-support.js";
import { sleuth } from "../../test/run-sleuth.js";
import { interruptedStatus } from "./interrupt.js";

it("deletes the frozen weights when Ctrl-C ends it at once", { timeout: 60_000 }, async () => {
  const model = await makeTinyModel(1, { maxPositions: 1024 });
  const folder = mkdtempSync(path.join(tmpdir(), "sleuth-interrupt-"));
  const { TMPDIR, TEMP } = process.env;
  process.env.TMPDIR = process.env.TEMP = folder;
  const weights = (): string[] => readdirSync(folder).filter((name) => name.startsWith("sleuth-weights-"));
  let hadWeights = false;
  try {
    const { status } = await sleuth(["ask", "Where?", "--model", model.folder, "--set", "model.adapt=lora"], {
      onStart: (child) => {
        void (async () => {
          while (child.exitCode === null && weights().length === 0) await sleep(5);
          hadWeights = weights().length > 0;
          // While the model is opened the first one ends the process; later the second does.
          child.kill("SIGINT");
          child.kill("SIGTERM");
        })();
      },
    });
    expect(hadWeights).toBe(true);
    expect(status).toBe(interruptedStatus);
    expect(weights()).toEqual([]);
  } finally {
    for (const [name, value] of Object.entries({ TMPDIR, TEMP })) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
    rmSync(folder, { recursive: true });
    await model.remove();
  }
});
