/** @file ONNX Runtime. Only this file loads it, after its telemetry has been switched off. */
import "../../telemetry.js";

export * from "onnxruntime-node";
