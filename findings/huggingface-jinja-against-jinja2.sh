#!/usr/bin/env bash
# Exit 0: @huggingface/jinja 0.5.11 still departs from jinja2 3.1.6 as described here. Exit 1: it behaves otherwise now. Exit 2: the packages could not be installed or run.
#
# Version: @huggingface/jinja 0.5.11 (Node 20), jinja2 3.1.6 with trim_blocks and lstrip_blocks, as transformers 5.24 sets it.
#
# Behaviour: a chat template, which is valid for both, gives another prompt in JavaScript than in Python.
# 1. strip, lstrip and rstrip ignore their argument: a template that takes line breaks off a message takes its indentation along (Qwen3's does).
# 2. True, False and None are written true, false and nothing, lists and dictionaries as JSON; the operator ~ refuses None.
# 3. Equality is JavaScript's: the number 0 equals the empty text, and no list equals another.
# 4. A number can be added to a text; jinja2 raises.
# 5. A loop over a text raises; jinja2 goes through its characters.
# 6. A template with CRLF line ends keeps them, and the lines of its block tags stay in the text; jinja2 reads CRLF as LF.
#
# Output seen (JavaScript, Python):
#   strip: "a = 1" | "    a = 1"
#   values: "true  {\"k\": [false]}" | "True None {'k': [False]}"
#   tilde: error | "xNone"
#   equal: "same false" | "other True"
#   add: "x1" | error
#   loop: error | "a-b-"
#   crlf: "\r\nyes\r\n\r" | "yes\n"
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
{ npm init -y && npm install --silent --no-audit --no-fund --ignore-scripts @huggingface/jinja@0.5.11; } > /dev/null || exit 2
python3 -m pip install --quiet --root-user-action=ignore --target python jinja2==3.1.6 > /dev/null || exit 2
cat > cases.json <<'JSON'
[
  ["strip", "{{ '\\n    a = 1\\n'.strip('\\n') }}"],
  ["values", "{{ yes }} {{ nothing }} {{ map }}"],
  ["tilde", "{{ 'x' ~ nothing }}"],
  ["equal", "{{ 'same' if 0 == '' else 'other' }} {{ [] == [] }}"],
  ["add", "{{ 'x' + 1 }}"],
  ["loop", "{% for c in 'ab' %}{{ c }}-{% endfor %}"],
  ["crlf", "{% if yes %}\r\nyes\r\n{% endif %}\r\n"]
]
JSON
cat > try.mjs <<'JS'
import { readFileSync } from "node:fs";
import { Template } from "@huggingface/jinja";
for (const [name, source] of JSON.parse(readFileSync("cases.json", "utf8"))) {
  let text;
  try {
    text = JSON.stringify(new Template(source).render({ yes: true, nothing: null, map: { k: [false] } }));
  } catch {
    text = "error";
  }
  console.log(`${name}: ${text}`);
}
JS
cat > try.py <<'PY'
import json
import jinja2

environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
for _, source in json.load(open("cases.json", encoding="utf8")):
    try:
        print(json.dumps(environment.from_string(source).render(yes=True, nothing=None, map={"k": [False]})))
    except Exception:
        print("error")
PY
node try.mjs > javascript || exit 2
PYTHONPATH=python python3 try.py > python.txt || exit 2
seen=$(paste -d '#' javascript python.txt | sed 's/#/ | /')
expected='strip: "a = 1" | "    a = 1"
values: "true  {\"k\": [false]}" | "True None {'"'"'k'"'"': [False]}"
tilde: error | "xNone"
equal: "same false" | "other True"
add: "x1" | error
loop: error | "a-b-"
crlf: "\r\nyes\r\n\r" | "yes\n"'
echo "$seen"
[ "$seen" = "$expected" ] || { echo "It has changed."; exit 1; }
