import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, it } from "vitest";
import { modelOfRun } from "./run-models.js";

it("a command in a message is one that a shell takes, whatever the folder is called", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "my `run` "));
  try {
    await expect(modelOfRun(folder)).rejects.toThrow(`sleuth train --run '${folder}' --resume`);
  } finally {
    await rm(folder, { recursive: true });
  }
});
