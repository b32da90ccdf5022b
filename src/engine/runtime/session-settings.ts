/** @file How the runtime is set, for graphs of ours and for files of others. */
import type { InferenceSession } from "onnxruntime-node";
import type { RuntimeOptions } from "./session.js";

export function sessionSettings({ threads, provider, prepack }: RuntimeOptions): InferenceSession.SessionOptions {
  return {
    executionProviders: [provider],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: "sequential",
    graphOptimizationLevel: "all",
    enableCpuMemArena: true,
    // Shapes change from call to call.
    enableMemPattern: false,
    logSeverityLevel: 3,
    // Threads that spin between operators take the cores from the main thread and from everything else that runs
    // (measured beside a busy process: 1.7 times faster training without; alone no difference to speak of).
    extra: {
      session: {
        intra_op: { allow_spinning: "0" },
        ...(prepack === false ? { disable_prepacking: "1" } : {}),
      },
    },
  };
}
