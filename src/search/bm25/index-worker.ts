/** @file A worker that indexes passages as they come and ends with a segment in shared memory. */
import { Analyzer } from "../text/analyzer.js";
import type { AnalyzerSettings } from "../text/analyzer.js";
import { serveTasks } from "../../workers/serve-tasks.js";
import { segmentOf } from "./in-memory.js";
import type { IndexTask } from "./in-memory.js";
import { Inverter } from "./invert.js";
import type { IndexSegment } from "./snapshot.js";

await serveTasks((settings: AnalyzerSettings) => {
  const inverter = new Inverter(new Analyzer(settings));
  return {
    run(task: IndexTask): IndexSegment | null {
      if (task === "finish") return shared(segmentOf(inverter));
      for (const { title, text } of task.passages) inverter.add(title, text);
      return null;
    },
  };
});

function shared(segment: IndexSegment): IndexSegment {
  return {
    ...segment,
    lengths: sharedCopy(segment.lengths),
    postingOffsets: sharedCopy(segment.postingOffsets),
    postingPassages: sharedCopy(segment.postingPassages),
    postingFrequencies: sharedCopy(segment.postingFrequencies),
  };
}

/** The same numbers in memory that threads can share. */
function sharedCopy<Numbers extends Uint8Array | Uint16Array | Uint32Array>(numbers: Numbers): Numbers {
  const kind = numbers.constructor as new (buffer: SharedArrayBuffer) => Numbers;
  const copy = new kind(new SharedArrayBuffer(numbers.byteLength));
  copy.set(numbers);
  return copy;
}
