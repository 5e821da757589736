"""Keeps a copy of all values of an account in SQLite: python3 consume.py FILE [--once]"""

import json
import os
import sqlite3
import sys
import time
import urllib.error
import urllib.request

url = os.environ["METERTREE_URL"] + "/api/v2"
headers = {"Authorization": "Bearer " + os.environ["METERTREE_TOKEN"], "Content-Type": "application/json"}


def post(path, body):
    """The data of an answer. Waits as long as a busy server asks."""
    while True:
        request = urllib.request.Request(url + path, json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=90) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            if error.code not in (429, 503):
                sys.exit(error.read().decode())
            time.sleep(int(error.headers.get("Retry-After", "5")))


path = sys.argv[1] if len(sys.argv) > 1 else "copy.db"
once = "--once" in sys.argv
db = sqlite3.connect(path, isolation_level=None)
db.execute("create table if not exists progress (stream text not null, offset integer)")
db.execute(
    "create table if not exists value (meter text, metric text, granularity text, start text, period text,"
    " value real, primary key (meter, metric, granularity, start))"
)

row = db.execute("select stream, offset from progress").fetchone()
if row is None:
    # Killed between these two steps it leaves a stream that nobody reads: that costs nothing.
    row = (post("/streams", {"resource": "consumption"})["_id"], None)
    db.execute("insert into progress (stream, offset) values (?, ?)", row)
stream, offset = row

while True:
    batch = post(f"/streams/{stream}/consume", {"offset": offset, "limit": 10000, "wait": 0 if once else 30})
    # The values and the offset, or neither.
    db.execute("begin")
    for record in batch["records"]:
        for one in record["values"]:
            key = (record["meter"]["_id"], one["metric"], one["granularity"], one["start"])
            if one["value"] is None:
                db.execute("delete from value where meter = ? and metric = ? and granularity = ? and start = ?", key)
            else:
                db.execute("replace into value values (?, ?, ?, ?, ?, ?)", key + (one["period"], one["value"]))
    offset = batch["offset"]
    db.execute("update progress set offset = ?", (offset,))
    db.execute("commit")
    if once and not batch["records"]:
        break
