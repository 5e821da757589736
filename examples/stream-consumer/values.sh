#!/bin/sh
# The values that the batches in a folder add up to, one a line, with tabs between: meter, metric, currency,
# granularity, start, value. The last one of each counts; a removed value is left out.
set -eu
cd "${1:?values.sh FOLDER}/batches"
# Offsets have the same number of digits, so the order of names is the order of batches.
find . -name '*.json' | sort | xargs -r cat | jq -r '
  .records[] | .meter._id as $meter | .values[]
  | [$meter, .metric, .currency // "", .granularity, .start, .value] | @tsv' |
  awk -F '\t' '
    { key = $1 FS $2 FS $3 FS $4 FS $5; last[key] = $6 }
    END { for (key in last) if (last[key] != "") print key FS last[key] }'
