/** @file A worker that writes a segment: waiting for the disk and hashing hold nobody up here. */
import { serveTasks } from "../../workers/serve-tasks.js";
import type { SourcePlace } from "./checkpoint.js";
import { writeError } from "./commit.js";
import { diskFiles } from "../../files/disk.js";
import { mergeSegments } from "./merge-segments.js";
import type { MergeOptions } from "./merge-segments.js";
import type { Run } from "./run.js";
import { SegmentBuilder } from "./segment-builder.js";
import type { BuilderOptions, Conflict } from "./segment-builder.js";

/** What a worker is opened for. */
export type WriteOrder = { build: BuilderOptions } | { merge: MergeOptions };

/** Adds a run; or goes on finishing for a while. */
export type WriteTask = { run: Run; next: SourcePlace | undefined } | { go: true };

export type WriteAnswer = { conflict?: Conflict } | { fraction: number } | { result: unknown };

/** Longest stretch of finishing between two answers, in milliseconds. */
const sliceMs = 200;

await serveTasks((order: WriteOrder) => {
  const builder = "build" in order ? new SegmentBuilder(order.build, diskFiles) : undefined;
  let steps: Generator<number, unknown> | undefined;
  const work = (task: WriteTask): WriteAnswer => {
    if ("run" in task) return { conflict: (builder as SegmentBuilder).addRun(task.run, task.next) };
    steps ??= "merge" in order ? mergeSegments(order.merge, diskFiles) : (builder as SegmentBuilder).finish();
    const started = performance.now();
    for (;;) {
      const step = steps.next();
      if (step.done) return { result: step.value };
      if (performance.now() - started >= sliceMs) return { fraction: step.value };
    }
  };
  const { out } = "merge" in order ? order.merge : order.build;
  return {
    run(task: WriteTask): WriteAnswer {
      try {
        return work(task);
      } catch (error) {
        // In words here: only words come over to the other thread.
        throw writeError(out, error);
      }
    },
  };
});
