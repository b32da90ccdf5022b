#!/usr/bin/env bash
# Exit 0: picomatch 4.0.7 still behaves as described here. Exit 1: it behaves otherwise now. Exit 2: the packages could not be installed or run.
#
# Version: picomatch 4.0.7, beside minimatch 11.0.9 (Node 20).
#
# Behaviour:
# 1. `names.filter(picomatch(glob))` keeps every name but the first, whether it matches or not. A matcher takes a second argument; `filter` passes
#    the index there, and for an index other than 0 the matcher answers with an object, which counts as true.
# 2. `part-{1..12}.md` takes parts 1 and 2 and not 12: the range is no list of numbers. minimatch takes 1, 2 and 12, as a shell does.
# 3. `part-[!1].md` takes part 1 and not part 2: the exclamation mark negates nothing. minimatch takes part 2 alone, as a shell does.
# A corpus that is named by such globs gains or loses files, and no error says so.
#
# Output seen:
#   {"filtered":["b.txt","c.txt"],"range":["part-1.md","part-2.md"],"negated":["part-1.md"]}
#   {"range":["part-1.md","part-2.md","part-12.md"],"negated":["part-2.md"]}
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
{ npm init -y && npm install --silent --no-audit --no-fund --ignore-scripts picomatch@4.0.7 minimatch@11.0.9; } > /dev/null || exit 2
cat > try.cjs <<'JS'
const picomatch = require("picomatch");
const { minimatch } = require("minimatch");
const parts = ["part-1.md", "part-2.md", "part-12.md"];
const [range, negated] = ["part-{1..12}.md", "part-[!1].md"];
const by = (glob, matches) => parts.filter((name) => matches(name, glob));
const pico = (name, glob) => picomatch(glob)(name);
const filtered = ["a.txt", "b.txt", "c.txt"].filter(picomatch("*.md"));
console.log(JSON.stringify({ filtered, range: by(range, pico), negated: by(negated, pico) }));
console.log(JSON.stringify({ range: by(range, minimatch), negated: by(negated, minimatch) }));
JS
seen=$(node try.cjs) || exit 2
expected='{"filtered":["b.txt","c.txt"],"range":["part-1.md","part-2.md"],"negated":["part-1.md"]}
{"range":["part-1.md","part-2.md","part-12.md"],"negated":["part-2.md"]}'
echo "$seen"
[ "$seen" = "$expected" ] || { echo "It has changed."; exit 1; }
