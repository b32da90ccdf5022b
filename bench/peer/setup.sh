#!/usr/bin/env bash
# Sets up the Python side of the peer bench in .cache/peer (several GB; torch's CPU build is enough).
# Needs Python 3.10 or later; PYTHON names another one. pip's own settings (index, proxy) hold.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=.cache/peer
[ -x "$folder/bin/python" ] || "${PYTHON:-python3}" -m venv "$folder"
"$folder/bin/python" -m pip install --disable-pip-version-check --requirement bench/peer/requirements.txt
"$folder/bin/python" -c 'import torch, transformers, trl, peft; print("ready: torch", torch.__version__, "transformers", transformers.__version__, "trl", trl.__version__, "peft", peft.__version__)'
