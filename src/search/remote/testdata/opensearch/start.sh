#!/bin/sh
# Starts a real OpenSearch or Elasticsearch for the tests, from Maven Central (45 MB), with 512 MB of heap; needs Java 11 or newer and mvn.
#   src/search/remote/testdata/opensearch/start.sh FOLDER [PORT [opensearch|elasticsearch]]
#   SLEUTH_OPENSEARCH_URL=http://127.0.0.1:9200 npx vitest run src/search/remote/opensearch.test.ts
# Everything goes to FOLDER. Ctrl-C ends it.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
folder=${1:?"usage: start.sh FOLDER [PORT [opensearch|elasticsearch]]"}
port=${2:-9200}
kind=${3:-opensearch}
pom=pom.xml
[ "$kind" = opensearch ] || pom="$kind.pom.xml"
mkdir -p "$folder/$kind/data"
cd "$folder/$kind"
[ -d lib ] || mvn -q -B -f "$here/$pom" dependency:copy-dependencies -DoutputDirectory="$PWD/lib"
# Both have the same classes, in packages of their own.
sed "s/org\.opensearch/org.$kind/; s/\"OpenSearch answers/\"$kind answers/" "$here/OpenSearchNode.java" > OpenSearchNode.java
javac -nowarn -cp "lib/*" OpenSearchNode.java
exec java -Xms512m -Xmx512m -cp "lib/*:." OpenSearchNode data "$port"
