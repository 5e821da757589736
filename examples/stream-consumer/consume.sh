#!/bin/sh
# Keeps a folder in step with an account, with curl and jq: consume.sh FOLDER [--limit VALUES] [--once]
#
# Each batch is a file named after its offset, and `offset` holds the last one. A batch is written under another name
# and then renamed, before the offset is: killed at any point, the same batch comes again and lands in the same file.
# `values.sh FOLDER` prints the values as they are now.
#
# METERTREE_URL and METERTREE_TOKEN say where; METERTREE_STREAM names a stream, otherwise one is made and remembered.
set -eu
: "${METERTREE_URL:?}" "${METERTREE_TOKEN:?}"
folder=${1:?consume.sh FOLDER [--limit VALUES] [--once]}
shift
wait=30 limit=20000
while [ $# -gt 0 ]; do
  case $1 in
    --once) wait=0 ;;
    --limit) limit=$2 && shift ;;
    *) echo "consume.sh knows no $1" >&2 && exit 2 ;;
  esac
  shift
done
mkdir -p "$folder/batches"
cd "$folder"

# Posts JSON to a path and keeps the answer in `answer.json`; goes on asking while the server is away or too busy.
post() {
  while :; do
    status=$(curl -sS --max-time 90 -o answer.json -w '%{http_code}' -X POST "$METERTREE_URL/api/v2$1" \
      -H "Authorization: Bearer $METERTREE_TOKEN" -H "Content-Type: application/json" -d "$2") || status=000
    case $status in
      2??) jq -e . answer.json >/dev/null 2>&1 && return ;;
      4[01]?) cat answer.json >&2 && exit 1 ;;
    esac
    echo "answer $status; trying again in 2 s" >&2
    sleep 2
  done
}

# Writes what comes in to a file, whole or not at all.
keep() {
  cat >"$1.part"
  sync -d "$1.part" 2>/dev/null || sync
  mv "$1.part" "$1"
}

if [ ! -s stream ]; then
  if [ -n "${METERTREE_STREAM:-}" ]; then
    echo "$METERTREE_STREAM" | keep stream
  else
    post /streams '{"resource": "consumption"}'
    jq -r .data._id answer.json | keep stream
  fi
fi
[ -s offset ] || echo null | keep offset

while :; do
  post "/streams/$(cat stream)/consume" "{\"offset\": $(cat offset), \"limit\": $limit, \"wait\": $wait}"
  if [ "$(jq '.data.records | length' answer.json)" -eq 0 ]; then
    [ "$wait" -eq 0 ] && exit 0
    continue
  fi
  # jq writes large numbers exactly when it does not touch them; an offset has 16 digits, which is below 2^53.
  next=$(jq -r .data.offset answer.json)
  jq -c .data answer.json | keep "batches/$next.json"
  echo "$next" | keep offset
  echo "batch $next"
done
