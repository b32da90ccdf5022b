/** @file A process that runs an encoder in its own thread or in a worker: `telemetry-child.test-support.ts main|worker FOLDER`. */
import path from "node:path";
import { OnnxEncoder } from "./search/dense/onnx-encoder.js";
import { ModelSession } from "./engine/runtime/model-session.js";

const [thread, folder] = process.argv.slice(2);
if (thread === "main") {
  const session = await ModelSession.open(path.join(folder, "onnx", "model.onnx"), { threads: 1 });
  await session.release();
} else {
  const encoder = await OnnxEncoder.open({ location: folder }, { threads: 1 });
  await encoder.close();
}
process.stdout.write("done");
