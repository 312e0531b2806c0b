"""Reads points from SQLite: coinmill, whose call has a process of its own, and Python's sqlite3 and pandas."""

from __future__ import annotations

import json
import resource
import sqlite3
import sys
from collections.abc import Callable
from typing import Any

import pandas
from turns import in_turn

import coinmill

asked = json.loads(sys.argv[1])
coin = asked["coin"]
mill = coinmill.Mill(**asked["settings"])
database = sqlite3.connect(asked["database"])
only = ""
if coin:
    key = database.execute("select key from coin where id = ?", [coin]).fetchone()
    only = f" and coin = {key[0]}"
POINTS = f"""select coin, ts, price, market_cap, volume from price_point where resolution = 60{only}
order by coin, ts"""
# CPU of coinmill's processes, by contender
workers: dict[str, list[float]] = {}


def cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def ours(name: str, start: str | None) -> Any:
    before = cpu()
    table = mill.prices(coin, start, resolution="1h").to_arrow()
    workers.setdefault(name, []).append(cpu() - before)
    return table


OURS, ONE = "coinmill: prices().to_arrow()", "coinmill: a call that reads a point or two"
contenders: dict[str, Callable[[], Any]] = {
    OURS: lambda: ours(OURS, None),
    "sqlite3: fetchall, tuples": lambda: database.execute(POINTS).fetchall(),
    "pandas.read_sql": lambda: pandas.read_sql(POINTS, database),
    ONE: lambda: ours(ONE, asked["last"]),
}
rows = {name: len(work()) for name, work in contenders.items() if name != ONE}
if len(set(rows.values())) > 1:
    sys.exit(f"they do not read the same rows: {rows}")
workers.clear()
seconds = in_turn(contenders, asked["rounds"])
# the first round does not count
workers = {name: taken[1:] for name, taken in workers.items()}
print(json.dumps({"rows": next(iter(rows.values())), "seconds": seconds, "workers": workers}))
