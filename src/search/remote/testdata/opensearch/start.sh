#!/bin/sh
# Starts a real OpenSearch for the tests, from Maven Central (45 MB), with 512 MB of heap; needs Java 11 or newer and mvn.
#   src/search/remote/testdata/opensearch/start.sh FOLDER [PORT]
#   SLEUTH_OPENSEARCH_URL=http://127.0.0.1:9200 npx vitest run src/search/remote/opensearch.test.ts
# Everything goes to FOLDER. Ctrl-C ends it.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
folder=${1:?"usage: start.sh FOLDER [PORT]"}
mkdir -p "$folder/data"
folder=$(cd "$folder" && pwd)
[ -d "$folder/lib" ] || mvn -q -B -f "$here/pom.xml" dependency:copy-dependencies -DoutputDirectory="$folder/lib"
javac -d "$folder/classes" -cp "$folder/lib/*" "$here/OpenSearchNode.java" 2>/dev/null || { javac -d "$folder/classes" -cp "$folder/lib/*" "$here/OpenSearchNode.java"; exit 1; }
exec java -Xms512m -Xmx512m -cp "$folder/lib/*:$folder/classes" OpenSearchNode "$folder/data" "${2:-9200}"
