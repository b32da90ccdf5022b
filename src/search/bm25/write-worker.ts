/** @file A worker that writes a segment: waiting for the disk and hashing hold up no other thread. */
import { serveTasks } from "../../workers/serve-tasks.js";
import { indexWriteError } from "./commit.js";
import type { Run } from "./run.js";
import { SegmentBuilder, mergeSegments } from "./segment-writer.js";
import type { BuildOrder, Conflict, MergeOrder } from "./segment-writer.js";

/** What a worker is opened for. */
export type WriteOrder = { build: BuildOrder } | { merge: MergeOrder };

/** Adds a run; or goes on finishing for a while. */
export type WriteTask = { run: Run; isLast: boolean } | "finish";

export type WriteAnswer = { conflict?: Conflict } | { fraction: number } | { result: unknown };

/** Longest stretch of finishing between two answers, in milliseconds. */
const sliceMs = 200;

await serveTasks((order: WriteOrder) => {
  let builder: SegmentBuilder | undefined;
  let steps: Generator<number, unknown> | undefined;
  const work = (task: WriteTask): WriteAnswer => {
    if ("build" in order) builder ??= new SegmentBuilder(order.build);
    if (task !== "finish") return { conflict: (builder as SegmentBuilder).addRun(task.run, task.isLast) };
    steps ??= "merge" in order ? mergeSegments(order.merge) : (builder as SegmentBuilder).finish();
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
        throw indexWriteError(out, error);
      }
    },
  };
});
