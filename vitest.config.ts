import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["src/**/*.test.ts", "test/**/*.test.ts", "bench/**/*.test.ts", "scripts/**/*.test.ts"],
    // Processes, not threads: ONNX Runtime and our own workers must not share one.
    pool: "forks",
    // The engine computes on every core by itself; more than two files at once only get in each other's way.
    maxWorkers: 2,
    testTimeout: 180_000,
    hookTimeout: 240_000,
  },
});
