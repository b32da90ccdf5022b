import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** The slowest first, so that no process works alone on one of them in the end. */
const slowest = [
  "src/policy/local/local.test.ts",
  "test/package.test.ts",
  "test/learning.test.ts",
  "src/train/train-local.test.ts",
  "test/cli.test.ts",
  "src/train/every-algorithm.test.ts",
  "src/search/engines.test.ts",
  "src/cli/index/corpus.test.ts",
  "src/search/dense/lancedb/build.test.ts",
  "src/train/watch/collapse.test.ts",
  "src/train/kill.test.ts",
];

class SlowestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const placeOf = ({ moduleId }: TestSpecification): number => {
      const place = slowest.findIndex((name) => moduleId.endsWith(`/${name}`));
      return place < 0 ? slowest.length : place;
    };
    return (await super.sort(files)).sort((a, b) => placeOf(a) - placeOf(b));
  }
}

export default defineConfig({
  test: {
    include: ["src/**/*.test.ts", "test/**/*.test.ts", "bench/**/*.test.ts", "scripts/**/*.test.ts"],
    globalSetup: ["test/temporary-folder.ts", "test/transpiled-sources.ts"],
    sequence: { sequencer: SlowestFirst },
    // Processes, not threads: ONNX Runtime and our own workers must not share one.
    pool: "forks",
    // The engine computes on every core by itself; more than two files at once only get in each other's way.
    maxWorkers: 2,
    testTimeout: 180_000,
    hookTimeout: 240_000,
  },
});
