/**
 * @file ONNX Runtime's telemetry, switched off in whatever process loads this file first. From 1.30 on the runtime keeps a device id and a database of
 * events in the user's cache folder and sends them to its maker, unless this variable is set when its first session is made.
 *
 * The runtime reads the environment of the process. A worker's `process.env` is a copy of it, so the thread that starts workers loads this file too.
 */
process.env.ORT_DISABLE_TELEMETRY = "1";
