"""A half-hour's snapshot of 250 coins, again and again: coinmill, and an experienced Python programmer's own loop.

Both are in a process that stays. The Python loop keeps its session and its connection open; a Mill keeps nothing.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
import time
import urllib.request
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import aiohttp
import orjson
import psycopg

import coinmill

asked = json.loads(sys.argv[1])
API, AGENT = asked["api"], {"User-Agent": "coinmill-benchmark"}
BENCH = API.removesuffix("/api/v3") + "/bench"
PAGE = {
    "vs_currency": "usd",
    "order": "market_cap_desc",
    "per_page": "250",
    "page": "1",
    "precision": "full",
    "price_change_percentage": "1h,24h,7d,14d,30d,200d,1y",
}
TEXTS = ("id", "symbol", "name", "image", "ath_date", "atl_date", "last_updated")
HALF_HOUR, WARM = 1800, 2


def told(path: str) -> str:
    with urllib.request.urlopen(f"{BENCH}/{path}") as response:
        text: str = response.read().decode()
    return text


class Expert:
    """One call, orjson, and one commit: COPY into PostgreSQL, executemany into SQLite; every field but `roi`."""

    def __init__(self, kind: str, database: str) -> None:
        self.kind = kind
        self.loop = asyncio.new_event_loop()
        self.session = self.loop.run_until_complete(self.opened())
        self.columns = [name for name in self.loop.run_until_complete(self.fetched())[0] if name != "roi"]
        types = ", ".join(f"{name} {'text' if name in TEXTS else 'double precision'}" for name in self.columns)
        table = f"create table quote (slot text not null, {types}, primary key (slot, id))"
        if kind == "postgresql":
            self.postgres = psycopg.connect(database)
            self.postgres.execute(table)
            self.postgres.commit()
        else:
            self.sqlite = sqlite3.connect(database)
            self.sqlite.execute("pragma journal_mode = wal")
            self.sqlite.execute(table)

    async def opened(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(headers=AGENT)

    async def fetched(self) -> list[dict[str, Any]]:
        async with self.session.get(f"{API}/coins/markets", params=PAGE) as response:
            response.raise_for_status()
            rows: list[dict[str, Any]] = orjson.loads(await response.read())
        return rows

    def tick(self, slot: str) -> None:
        found = self.loop.run_until_complete(self.fetched())
        rows = [(slot, *(quote[name] for name in self.columns)) for quote in found]
        if self.kind == "postgresql":
            with self.postgres.cursor() as cursor, cursor.copy("copy quote from stdin") as copy:
                for row in rows:
                    copy.write_row(row)
            self.postgres.commit()
        else:
            places = ", ".join("?" * (len(self.columns) + 1))
            self.sqlite.executemany(f"insert into quote values ({places})", rows)
            self.sqlite.commit()


def ours(slot: str) -> Callable[[], None]:
    mill = coinmill.Mill(**asked["settings"], clock=slot)

    def tick() -> None:
        report = mill.run_snapshot()
        assert report["state"] == "complete", report
        assert report["stored"] == 250, report

    return tick


expert = Expert(asked["kind"], asked["database"])
results: dict[str, dict[str, list[float]]] = {}
# ten minutes into a half-hour, so that all of a run is in it
begin = time.time() // HALF_HOUR * HALF_HOUR + 600
for turn in range(asked["rounds"] + WARM):
    now = begin + turn * HALF_HOUR
    slot = datetime.fromtimestamp(now, timezone.utc).isoformat()
    told(f"clock?set={now}")
    contenders: dict[str, Callable[[], None]] = {"coinmill": ours(slot), "expert": lambda at=slot: expert.tick(at)}
    for name, tick in contenders.items():
        began = time.monotonic()
        tick()
        ended = time.monotonic()
        sent = float(told("sent"))
        if turn >= WARM:
            kept = results.setdefault(name, {"whole": [], "after": []})
            kept["whole"].append(ended - began)
            kept["after"].append(ended - sent)
told("clock")
expert.loop.run_until_complete(expert.session.close())
print(json.dumps(results))
