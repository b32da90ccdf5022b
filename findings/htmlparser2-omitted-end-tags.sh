#!/usr/bin/env bash
# Exit 0: htmlparser2 10.1.0 still behaves as described here. Exit 1: it behaves otherwise now. Exit 2: the packages could not be installed or run.
#
# Version: htmlparser2 10.1.0, as linkedom 0.18.15 uses it, beside parse5 8.0.0 (Node 20).
#
# Behaviour: valid HTML may leave out the end tags of p, td, tr, li, dt and dd. Behind a paragraph without one, the next row of a table becomes a child of that
# paragraph, and so does the next item of a list or the next term: rows and items nest one deeper each. A cell without a paragraph is closed as it should be.
# The standard's parser (parse5) gives rows and items that stand side by side.
#
# Output seen:
#   {"rows":["R A R B R C"],"items":["I A I B"]}
#   {"rows":["R A","R B","R C"],"items":["I A","I B"]}
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
{ npm init -y && npm install --silent --no-audit --no-fund --ignore-scripts htmlparser2@10.1.0 parse5@8.0.0 domutils@3.2.2; } > /dev/null || exit 2
cat > try.mjs <<'JS'
import { parseDocument } from "htmlparser2";
import { parse } from "parse5";
const html = "<body><table><tr><td><p>A<tr><td>B<tr><td>C</table><ul><li><p>A<li>B</ul></body>";
const children = (node) => node.children ?? node.childNodes ?? [];
const name = (node) => node.name ?? node.tagName;
/** Elements of a name that stand in no other one of it. */
const outermost = (node, wanted) => children(node).flatMap((child) => (name(child) === wanted ? [child] : outermost(child, wanted)));
const label = { tr: "R ", li: "I " };
const text = (node) => (label[name(node)] ?? "") + (node.data ?? node.value ?? children(node).map(text).join(" "));
for (const tree of [parseDocument(html), parse(html)]) {
  const shown = (wanted) => outermost(tree, wanted).map((node) => text(node).trim());
  console.log(JSON.stringify({ rows: shown("tr"), items: shown("li") }));
}
JS
seen=$(node try.mjs) || exit 2
echo "$seen"
expected='{"rows":["R A R B R C"],"items":["I A I B"]}
{"rows":["R A","R B","R C"],"items":["I A","I B"]}'
[ "$seen" = "$expected" ] || { echo "It has changed."; exit 1; }
