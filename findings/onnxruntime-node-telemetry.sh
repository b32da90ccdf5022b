#!/usr/bin/env bash
# Exit 0: onnxruntime-node 1.30.0 still behaves as described here. Exit 1: it behaves otherwise now. Exit 2: the package could not be installed or run.
#
# Version: onnxruntime-node 1.30.0 (Node 20, Linux x64).
#
# Behaviour:
# 1. The first session of a process writes a device id and a database of events below ~/.cache/Microsoft/DeveloperTools/.onnxruntime, and
#    mat-debug-PID.log in the temporary folder, and looks for a host to send the events to. Nothing was asked, and no option of a session stops it.
# 2. DO_NOT_TRACK=1 changes nothing.
# 3. ORT_DISABLE_TELEMETRY=1 in the environment, set when the first session is made, stops all of it.
# 4. The library reads the environment of the process: a worker thread that sets the variable in its own process.env (a copy, unless it was started
#    with `env: SHARE_ENV`) stops nothing.
# 5. Loading the library alone writes nothing.
#
# Output seen:
#   loaded: nothing
#   session: cache log
#   session, DO_NOT_TRACK: cache log
#   session, ORT_DISABLE_TELEMETRY: nothing
#   session in a worker that sets ORT_DISABLE_TELEMETRY: cache log
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
{ npm init -y && npm install --silent --no-audit --no-fund --ignore-scripts onnxruntime-node@1.30.0; } > /dev/null || exit 2
cat > try.cjs <<'JS'
const { Worker, isMainThread, workerData } = require("node:worker_threads");
const how = isMainThread ? process.argv[2] : workerData;
if (how === "worker" && isMainThread) new Worker(__filename, { workerData: how });
else {
  if (!isMainThread) process.env.ORT_DISABLE_TELEMETRY = "1";
  const { InferenceSession } = require("onnxruntime-node");
  // y = x: one Identity over one float.
  const model = "CAg6NwoQCgF4EgF5IghJZGVudGl0eRIBZ1oPCgF4EgoKCAgBEgQKAggBYg8KAXkSCgoICAESBAoCCAFCBAoAEA0=";
  if (how !== "load") InferenceSession.create(Buffer.from(model, "base64")).then(({ inputNames }) => console.error(`session of ${inputNames}`));
}
JS
try() {
  local name=$1 how=$2
  shift 2
  mkdir -p "$name/home" "$name/tmp"
  env -u DO_NOT_TRACK -u ORT_DISABLE_TELEMETRY -u XDG_CACHE_HOME HOME="$folder/$name/home" TMPDIR="$folder/$name/tmp" "$@" node try.cjs "$how" 2> "$name/stderr" || exit 2
  [ "$how" = load ] || grep -q "session of x" "$name/stderr" || exit 2
  local left=""
  [ -e "$name/home/.cache/Microsoft/DeveloperTools/.onnxruntime/deviceid" ] && left="$left cache"
  ls "$name/tmp" | grep -q '^mat-debug-' && left="$left log"
  echo "$name:${left:- nothing}"
}
seen=$(
  try "loaded" load env
  try "session" session env
  try "session, DO_NOT_TRACK" session env DO_NOT_TRACK=1
  try "session, ORT_DISABLE_TELEMETRY" session env ORT_DISABLE_TELEMETRY=1
  try "session in a worker that sets ORT_DISABLE_TELEMETRY" worker env
) || exit 2
expected='loaded: nothing
session: cache log
session, DO_NOT_TRACK: cache log
session, ORT_DISABLE_TELEMETRY: nothing
session in a worker that sets ORT_DISABLE_TELEMETRY: cache log'
echo "$seen"
[ "$seen" = "$expected" ] || { echo "It has changed."; exit 1; }
