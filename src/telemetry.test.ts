import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, describe, expect, it } from "vitest";
import { sourceArguments } from "../test/transpiled-sources.js";
import { writeBagModel } from "./search/dense/tiny-models.test-support.js";

const root = mkdtempSync(path.join(tmpdir(), "sleuth-telemetry-"));
const model = writeBagModel(path.join(root, "bag"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

describe("ONNX Runtime's telemetry", () => {
  it.each(["main", "worker"])(
    "leaves nothing at home and in the temporary folder: a model in the %s thread",
    async (thread) => {
      const [home, temporary] = ["home", "tmp"].map((name) => path.join(root, thread, name));
      for (const folder of [home, temporary]) mkdirSync(folder, { recursive: true });
      const { PATH, SLEUTH_TRANSPILED } = process.env;
      const env = {
        PATH,
        SLEUTH_TRANSPILED,
        HOME: home,
        USERPROFILE: home,
        LOCALAPPDATA: home,
        TMPDIR: temporary,
        TEMP: temporary,
      };
      const child = [...sourceArguments("telemetry-child.test-support.ts"), thread, model];
      const { stdout } = await promisify(execFile)(process.execPath, child, { env });
      expect(stdout).toBe("done");
      expect([home, temporary].flatMap((folder) => readdirSync(folder, { recursive: true, encoding: "utf8" }))).toEqual(
        [],
      );
    },
  );

  it("nothing else loads the runtime", () => {
    const repository = fileURLToPath(new URL("..", import.meta.url));
    const loading = ["src", "bench", "scripts", "test", "bin"].flatMap((folder) =>
      readdirSync(path.join(repository, folder), { recursive: true, encoding: "utf8" })
        .filter((name) => /\.(ts|mjs|js)$/.test(name))
        .map((name) => path.join(folder, name))
        .filter((file) =>
          /(from|import|import\(|require\()\s*["']onnxruntime/.test(readFileSync(path.join(repository, file), "utf8")),
        ),
    );
    expect(loading).toEqual([path.join("src", "engine", "runtime", "onnxruntime.ts")]);
  });
});
