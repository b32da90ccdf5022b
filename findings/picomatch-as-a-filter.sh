#!/usr/bin/env bash
# picomatch 4.0.7: `names.filter(picomatch(glob))` keeps every name but the first, whether it matches or not, since the matcher takes a second
# argument (filter passes the index) and then answers with an object, which is true. And a range `{1..12}` is not the numbers 1 to 12, nor `[!1]` "not
# a 1" without `posix: true`: picomatch writes both into a regular expression as they stand. Corpora named by ranges lose or gain files
# without a word. minimatch 11.0.9 reads all three as a shell does.
#
# Seen (Node 20):
#   {"filtered":["b.txt","c.txt"],"range":["part-1.md","part-2.md"],"not1":["part-1.md"],"minimatch":["part-1.md","part-2.md","part-12.md"]}
# Exits with 1 once this changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y > /dev/null
npm install --silent --no-audit --no-fund --ignore-scripts picomatch@4.0.7 minimatch@11.0.9
cat > try.cjs <<'JS'
const picomatch = require("picomatch");
const { minimatch } = require("minimatch");
const parts = ["part-1.md", "part-2.md", "part-12.md"];
const by = (matches) => parts.filter((name) => matches(name));
console.log(
  JSON.stringify({
    filtered: ["a.txt", "b.txt", "c.txt"].filter(picomatch("*.md")),
    range: by(picomatch("part-{1..12}.md")),
    not1: by(picomatch("part-[!1].md")),
    minimatch: by((name) => minimatch(name, "part-{1..12}.md")),
  }),
);
JS
seen=$(node try.cjs)
expected='{"filtered":["b.txt","c.txt"],"range":["part-1.md","part-2.md"],"not1":["part-1.md"],"minimatch":["part-1.md","part-2.md","part-12.md"]}'
echo "$seen"
[ "$seen" = "$expected" ] || { echo "It has changed."; exit 1; }
