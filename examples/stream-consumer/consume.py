#!/usr/bin/env python3
"""Keeps a SQLite file in step with an account: consume.py FILE [--once].

Needs nothing beside Python. The values of a batch and the offset behind it are stored in one transaction: killed at
any point, it goes on from the offset in the file, and gets again what was not stored.

METERTREE_URL and METERTREE_TOKEN say where; METERTREE_STREAM names a stream, otherwise one is made and remembered.
"""

import argparse
import http.client
import json
import os
import sqlite3
import sys
import time
import urllib.error
import urllib.request

SCHEMA = """
pragma journal_mode = wal;
pragma synchronous = full;
create table if not exists cursor (one integer primary key check (one = 1), stream text not null, offset integer);
create table if not exists value (
  meter text, metric text, currency text, granularity text, start text, value real not null,
  primary key (meter, metric, currency, granularity, start)
) without rowid;
"""


def call(path, body):
    """Posts JSON and answers its data. Waits as long as the server is away or too busy."""
    request = urllib.request.Request(
        os.environ["METERTREE_URL"].rstrip("/") + "/api/v2" + path,
        data=json.dumps(body).encode(),
        headers={
            "Authorization": "Bearer " + os.environ["METERTREE_TOKEN"],
            "Content-Type": "application/json",
        },
    )
    while True:
        pause = 2
        try:
            with urllib.request.urlopen(request, timeout=90) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            message = error.read().decode(errors="replace")
            if error.code < 429:
                sys.exit(f"{path}: {message}")
            pause = int(error.headers.get("Retry-After") or pause)
            print(f"{error.code}; trying again in {pause} s", file=sys.stderr)
        except (OSError, http.client.HTTPException, ValueError) as error:
            # Away, or gone in the middle of an answer.
            print(f"{error}; trying again in {pause} s", file=sys.stderr)
        time.sleep(pause)


def store(db, batch):
    """All of a batch and the offset behind it, or nothing."""
    # In order: a value may come twice, and the last one counts.
    latest = {}
    for record in batch["records"]:
        meter = record["meter"]["_id"]
        for each in record["values"]:
            key = (meter, each["metric"], each.get("currency", ""), each["granularity"], each["start"])
            latest[key] = each["value"]
    gone = [key for key, value in latest.items() if value is None]
    put = [(*key, value) for key, value in latest.items() if value is not None]
    with db:
        db.executemany(
            "delete from value where meter = ? and metric = ? and currency = ? and granularity = ? and start = ?",
            gone,
        )
        db.executemany("insert or replace into value values (?, ?, ?, ?, ?, ?)", put)
        db.execute("update cursor set offset = ?", (batch["offset"],))
    print(f"{len(latest)} values up to {batch['offset']}", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    parser.add_argument("--once", action="store_true", help="end when nothing is new")
    parser.add_argument("--limit", type=int, default=20000, help="values per batch")
    options = parser.parse_args()
    for name in ("METERTREE_URL", "METERTREE_TOKEN"):
        if name not in os.environ:
            sys.exit(f"set {name}")

    db = sqlite3.connect(options.file)
    db.executescript(SCHEMA)
    row = db.execute("select stream, offset from cursor").fetchone()
    if row is None:
        stream = os.environ.get("METERTREE_STREAM") or call("/streams", {"resource": "consumption"})["_id"]
        with db:
            db.execute("insert into cursor values (1, ?, null)", (stream,))
        row = (stream, None)

    stream, offset = row
    while True:
        wait = 0 if options.once else 30
        batch = call(f"/streams/{stream}/consume", {"offset": offset, "limit": options.limit, "wait": wait})
        if batch["records"]:
            store(db, batch)
            offset = batch["offset"]
        elif options.once:
            return


main()
