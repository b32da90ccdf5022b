#!/usr/bin/env bash
# Sets up the Python side of the search bench in .cache/search-peers (about 400 MB).
# Needs Python 3.10 or later; PYTHON names another one. pip's own settings (index, proxy) hold.
set -euo pipefail
cd "$(dirname "$0")/../../.."
folder=.cache/search-peers
[ -x "$folder/bin/python" ] || "${PYTHON:-python3}" -m venv "$folder"
"$folder/bin/python" -m pip install --disable-pip-version-check --requirement bench/search/peers/requirements.txt
"$folder/bin/python" -c 'import bm25s, numba, rank_bm25; print("ready: bm25s", bm25s.__version__, "numba", numba.__version__)'
