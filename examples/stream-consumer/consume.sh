#!/usr/bin/env bash
# Keeps all values of an account as files, one per batch, named by their offsets: bash consume.sh FOLDER [--once]
# The last state of every value: jq -s -f latest.jq FOLDER/*.json
set -euo pipefail

folder=${1:-copy}
wait=30
if [ "${2:-}" = "--once" ]; then wait=0; fi
mkdir -p "$folder"

post() {
  # Waits and asks again while the server is busy or away.
  curl --silent --show-error --fail-with-body --compressed --retry 1000 --retry-delay 2 --retry-connrefused \
    -H "Authorization: Bearer $METERTREE_TOKEN" -H "Content-Type: application/json" \
    --data "$2" "$METERTREE_URL/api/v2$1"
}

if [ ! -s "$folder/stream" ]; then
  post /streams '{"resource": "consumption"}' | jq -er .data._id > "$folder/stream.new"
  mv "$folder/stream.new" "$folder/stream"
fi
stream=$(cat "$folder/stream")

while true; do
  # The last batch that is there is the last that was stored.
  last=$(find "$folder" -name '[0-9]*.json' | sort | tail -n 1)
  offset=null
  if [ -n "$last" ]; then offset=$(basename "$last" .json); fi
  post "/streams/$stream/consume" "{\"offset\": $offset, \"limit\": 10000, \"wait\": $wait}" > "$folder/batch.new"
  if [ "$(jq '.data.records | length' "$folder/batch.new")" = 0 ]; then
    if [ "$wait" = 0 ]; then break; fi
    continue
  fi
  # A name that appears at once, whole: there is no half of a batch.
  mv "$folder/batch.new" "$folder/$(jq -r .data.offset "$folder/batch.new").json"
done
