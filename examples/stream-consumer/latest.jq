# Batches in the order of their offsets: the last state of every value.
[ .[].data.records[] | .meter._id as $meter | .values[]
  | { key: "\($meter)/\(.metric)/\(.granularity)/\(.start)", value } ]
| from_entries | with_entries(select(.value != null))
