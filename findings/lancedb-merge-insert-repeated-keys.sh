#!/usr/bin/env bash
# Exit 0: @lancedb/lancedb 0.30.0 still behaves as described here. Exit 1: it behaves otherwise now. Exit 2: the packages could not be installed or run.
#
# Version: @lancedb/lancedb 0.30.0 with apache-arrow 18.1.0 (Node 20, Linux).
#
# Behaviour of an upsert, `mergeInsert("id").whenMatchedUpdateAll().whenNotMatchedInsertAll()`, with keys that repeat:
# 1. A new key that stands twice among the rows given is inserted twice, without an error.
# 2. A key that is in the table and stands twice among the rows given is an error ("Ambiguous merge inserts are prohibited").
# 3. A key that the table holds twice is no error: both rows become copies of the row given, so the table keeps a repeated passage for ever.
# So an upsert does not keep keys unique: whether repetitions are noticed depends on what was there before.
#
# Output seen:
#   {"newTwice":["b one","b two"],"oldTwice":"Ambiguous merge inserts are prohibited","heldTwice":["b three","b three"]}
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
{ npm init -y && npm install --silent --no-audit --no-fund --ignore-scripts @lancedb/lancedb@0.30.0 apache-arrow@18.1.0; } > /dev/null || exit 2
cat > try.cjs <<'JS'
const { connect } = require("@lancedb/lancedb");
(async () => {
  const table = await (await connect("table")).createTable("t", [{ id: "a", text: "zero" }]);
  const upsert = (...rows) => table.mergeInsert("id").whenMatchedUpdateAll().whenNotMatchedInsertAll().execute(rows);
  const held = async () => (await table.query().where("id = 'b'").toArray()).map(({ id, text }) => `${id} ${text}`).sort();
  await upsert({ id: "b", text: "one" }, { id: "b", text: "two" });
  const newTwice = await held();
  const oldTwice = await upsert({ id: "a", text: "one" }, { id: "a", text: "two" }).then(
    () => "taken",
    (error) => /Ambiguous merge inserts are prohibited/.exec(error.message)?.[0] ?? error.message,
  );
  await upsert({ id: "b", text: "three" });
  console.log(JSON.stringify({ newTwice, oldTwice, heldTwice: await held() }));
})();
JS
seen=$(node try.cjs 2> errors) || { cat errors >&2; exit 2; }
expected='{"newTwice":["b one","b two"],"oldTwice":"Ambiguous merge inserts are prohibited","heldTwice":["b three","b three"]}'
echo "$seen"
[ "$seen" = "$expected" ] || { echo "It has changed."; exit 1; }
