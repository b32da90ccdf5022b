/** @file A worker that turns stretches of the corpus into runs. */
import { Analyzer } from "../text/analyzer.js";
import type { AnalyzerSettings } from "../text/analyzer.js";
import { serveTasks } from "../../workers/serve-tasks.js";
import { Inverter } from "./invert.js";
import { buffersOf, invertParts } from "./run.js";
import type { Part, Run } from "./run.js";

await serveTasks((settings: AnalyzerSettings) => {
  const inverter = new Inverter(new Analyzer(settings));
  return {
    run(parts: Part[]): Run {
      const steps = invertParts(parts, inverter);
      for (;;) {
        const step = steps.next();
        if (step.done) return step.value;
      }
    },
    transfer: buffersOf,
  };
});
