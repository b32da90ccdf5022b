#!/usr/bin/env bash
# sentence-transformers 6.2.0: `encode_document` leaves out a prompt that is named "passage".
#
# Exit 0: the behaviour is still so. Exit 1: it has changed. Exit 2: it could not be tried (no Python with venv, no packages).
#
# Behaviour: a model may store its prompts as {"query": …, "passage": …}. `encode_query` puts the prompt "query" before a text.
# `encode_document` looks for prompts named document, passage and corpus (so its docstring says) in that order, but every model is made
# with an empty prompt named "document", which is found first. Passages of such a model are encoded without theirs, and nothing is said.
# Under the name "document", or asked for with prompt_name="passage", the same prompt is used.
#
# Seen on 2026-11-30 with Python 3.11, torch 2.13.0 (installs about 5 GB for a moment):
#   sentence-transformers 6.2.0 prompts {'query': 'query ', 'document': '', 'passage': 'passage '}
#   encode_query [0.0, 0.0, 0.5, 0.5]
#   encode_document [0.0, 0.0, 0.0, 1.0]
#   encode with prompt_name='passage' [0.0, 0.5, 0.0, 0.5]
#   encode without a prompt [0.0, 0.0, 0.0, 1.0]
#   Still so: encode_document leaves the prompt out.
set -uo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" 2>/dev/null || { echo "Python 3 with venv is needed."; exit 2; }
"$folder/venv/bin/pip" install --quiet torch==2.13.0 transformers==5.24.0 sentence-transformers==6.2.0 tokenizers >/dev/null 2>&1 || { echo "The packages could not be installed."; exit 2; }

HF_HUB_OFFLINE=1 "$folder/venv/bin/python" - "$folder/model" <<'PYTHON' 2>/dev/null
import sys
import numpy
from sentence_transformers import SentenceTransformer, __version__
from sentence_transformers.models import StaticEmbedding
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

tokenizer = Tokenizer(WordLevel({"[UNK]": 0, "passage": 1, "query": 2, "ferry": 3}, unk_token="[UNK]"))
tokenizer.pre_tokenizer = Whitespace()
weights = numpy.eye(4, dtype="float32")
SentenceTransformer(
    modules=[StaticEmbedding(tokenizer, embedding_weights=weights)],
    prompts={"query": "query ", "passage": "passage "},
).save(sys.argv[1])

model = SentenceTransformer(sys.argv[1], device="cpu")
print("sentence-transformers", __version__, "prompts", model.prompts)
query = model.encode_query("ferry")
document = model.encode_document("ferry")
named = model.encode("ferry", prompt_name="passage")
bare = model.encode("ferry")
print("encode_query", query.round(2).tolist())
print("encode_document", document.round(2).tolist())
print("encode with prompt_name='passage'", named.round(2).tolist())
print("encode without a prompt", bare.round(2).tolist())
still = numpy.allclose(document, bare) and not numpy.allclose(document, named) and not numpy.allclose(query, bare)
sys.exit(0 if still else 1)
PYTHON
status=$?
if [ "$status" -eq 0 ]; then echo "Still so: encode_document leaves the prompt out."; else echo "CHANGED (status $status)."; fi
[ "$status" -eq 0 ] && exit 0 || exit 1
