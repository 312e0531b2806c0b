"""Reads points from PostgreSQL into Arrow: coinmill, connectorx, ADBC, pandas, and COPY's bytes as the floor."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import adbc_driver_postgresql.dbapi
import connectorx
import pandas
import psycopg
from sqlalchemy import create_engine
from turns import in_turn

import coinmill

asked = json.loads(sys.argv[1])
database, coin = asked["database"], asked["coin"]
mill = coinmill.Mill(**asked["settings"])
copying = psycopg.connect(database, autocommit=True)
through_adbc = adbc_driver_postgresql.dbapi.connect(database, autocommit=True)
engine = create_engine(database.replace("postgresql://", "postgresql+psycopg2://")).connect()
only = ""
if coin:
    key = copying.execute("select key from timeseries.coin where id = %s", [coin]).fetchone()
    assert key
    only = f" and coin = {key[0]}"
POINTS = f"select coin, ts, price, market_cap, volume from timeseries.price_point where resolution = 60{only}"
IN_ORDER = f"{POINTS} order by coin, ts"


ONE = "coinmill: a call that reads a point or two"


def copied(query: str) -> int:
    with copying.cursor() as cursor, cursor.copy(f"copy ({query}) to stdout (format binary)") as copy:
        return sum(len(block) for block in copy)


def by_psql(query: str) -> float:
    """The seconds that psql says, its connection being open."""
    command = [os.environ["COINMILL_TEST_PSQL"], "-X", database, "-c", r"\timing on"]
    command += ["-c", f"\\copy ({query}) to '/dev/null' with (format binary)"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    time = re.search(r"Time: ([0-9.]+) ms", said)
    assert time, said
    return float(time[1]) / 1000


def by_adbc() -> Any:
    with through_adbc.cursor() as cursor:
        cursor.execute(IN_ORDER)
        return cursor.fetch_arrow_table()


contenders: dict[str, Callable[[], Any]] = {
    "COPY out, bytes alone (psql)": lambda: by_psql(IN_ORDER),
    "COPY out, in any order (psql)": lambda: by_psql(POINTS),
    "COPY out, bytes alone (psycopg)": lambda: copied(IN_ORDER),
    "coinmill: prices().to_arrow()": lambda: mill.prices(coin, resolution="1h").to_arrow(),
    "connectorx, to Arrow": lambda: connectorx.read_sql(database, IN_ORDER, return_type="arrow"),
    "ADBC, to Arrow": by_adbc,
    "pandas.read_sql": lambda: pandas.read_sql(IN_ORDER, engine),
}
if coin:
    start = asked["last"]
    contenders[ONE] = lambda: mill.prices(coin, start, resolution="1h").to_arrow()
rows = {name: len(work()) for name, work in contenders.items() if not name.startswith("COPY") and name != ONE}
if len(set(rows.values())) > 1:
    sys.exit(f"they do not read the same rows: {rows}")
seconds = in_turn(contenders, asked["rounds"])
print(json.dumps({"rows": next(iter(rows.values())), "seconds": seconds}))
