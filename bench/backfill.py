"""A year of hourly history, API to database: coinmill, its peers, and as a floor COPY of the same rows."""

from __future__ import annotations

import shutil
import sqlite3
import statistics
import sys
import time
from contextlib import closing
from pathlib import Path

from lab import Lab
from measure import PEERS, TIMES, Row, Took, command, ratio, spread, table

AS_CAME, IN_ORDER, NARROW = "COPY, as the rows came", "COPY, in key order", "COPY of coinmill's own rows, in key order"
COINMILL = "coinmill"
EXPERT = "aiohttp, orjson, psycopg: COPY into staging, upsert"
POLARS = "aiohttp, orjson, polars, ADBC into staging, upsert"
DLT = "dlt, Arrow, merge (once)"
PANDAS = "requests, pandas, SQLAlchemy: to_sql"
SQLITE_EXPERT = "aiohttp, orjson, executemany, one transaction"
SQLITE_BY_HAND = "requests, json, executemany a body"
# coins of the slowest, whose times are multiplied
FEW = 5
POINT = """create table point (coin_id text not null, ts timestamptz not null, price double precision not null
check (price > 0), market_cap double precision, volume double precision, primary key (coin_id, ts))"""


class Times:
    """The first time and the same again, by contender."""

    def __init__(self) -> None:
        self.first: dict[str, list[Took]] = {}
        self.again: dict[str, list[Took]] = {}
        self.rows: dict[str, int] = {}

    def add(self, name: str, took: Took, again: Took | None, rows: int) -> None:
        self.first.setdefault(name, []).append(took)
        if again:
            self.again.setdefault(name, []).append(again)
        self.rows[name] = rows
        print(
            f"  {name}: {took.wall:.2f} s, {rows:,} rows" + (f", again {again.wall:.2f} s" if again else ""), flush=True
        )

    def shown(self, floor: str | None, scaled: dict[str, float]) -> list[str]:
        """As Markdown; contenders with fewer coins are scaled to all, but for their memory."""
        rows = []
        walls = [took.wall for took in self.first[floor]] if floor else []
        for name, all_taken in self.first.items():
            factor = scaled.get(name, 1)
            first = [took.wall * factor for took in all_taken]
            again = [took.wall * factor for took in self.again.get(name, [])]
            peak = max(took.peak for took in all_taken)
            cells = [name, spread(first)]
            if floor:
                cells += [ratio(first, walls)]
            cells += [spread(again), ratio(again, walls)] if floor else [spread(again)]
            cpu = statistics.median(took.cpu for took in all_taken) * factor
            rows.append([*cells, f"{cpu:.2f}", f"{peak:.0f}"])
        if floor:
            head = [
                "contender",
                "wall, s",
                f"{TIMES} floor",
                "again, s",
                f"{TIMES} floor",
                "client's CPU, s",
                "peak, MB",
            ]
        else:
            head = ["contender", "wall, s", "again, s", "CPU, s", "peak, MB"]
        return table(head, rows)


def task(lab: Lab, database: str, coins: int | None = None) -> dict[str, str]:
    """A peer's variables; its span ends with the last whole hour, of which every point is settled."""
    end = int(time.time()) // 3600 * 3600
    scratch = lab.scratch / "peer"
    shutil.rmtree(scratch, ignore_errors=True)
    return {
        "BENCH_API": lab.api,
        "BENCH_DATABASE": database,
        "BENCH_COINS": ",".join(f"coin-{place:03}" for place in range(coins or lab.coins)),
        "BENCH_START": str(end - lab.days * 86_400),
        "BENCH_END": str(end),
        "BENCH_SCRATCH": str(scratch),
    }


def script(name: str) -> list[str | Path]:
    return [sys.executable, "-W", "ignore", PEERS / f"{name}.py"]


def ours(lab: Lab, settings: dict[str, str]) -> Took:
    span = ("--top", str(lab.coins), "--days", str(lab.days), "--resolution", "1h", "--yes")
    return lab.run(settings, "init") + lab.run(settings, "backfill", *span)


def counted(lab: Lab, database: str, table_name: str) -> int:
    return int(lab.cluster.sql(database, f"select count(*) from {table_name}"))


def checked(times: Times, lab: Lab, scaled: dict[str, float]) -> None:
    """Every contender stored the whole year, up to a point or two at the ends of a coin's span."""
    whole = lab.coins * lab.days * 24
    for name, rows in times.rows.items():
        if abs(rows * scaled.get(name, 1) - whole) > 2 * lab.coins:
            raise SystemExit(f"{name} stored {rows:,} rows of {whole:,}")


def prepared(lab: Lab) -> dict[str, list[str | Path]]:
    """Writes the floors' rows, as COPY has them in binary; a floor's commands. It also warms up two contenders."""
    lab.cluster.fresh("peer")
    command(script("expert_python"), task(lab, lab.cluster.url("peer")))
    settings = lab.fresh("postgresql")
    ours(lab, settings)
    sources = {
        AS_CAME: ("peer", "point", "point"),
        IN_ORDER: ("peer", "(select * from point order by coin_id, ts)", "point"),
        NARROW: ("timeseries", "(select * from timeseries.price_point order by coin, resolution, ts)", "price_point"),
    }
    commands: dict[str, list[str | Path]] = {}
    for place, (name, (database, source, table_name)) in enumerate(sources.items()):
        file = lab.scratch / f"rows-{place}.bin"
        lab.cluster.sql(database, f"\\copy {source} to '{file}' with (format binary)")
        commands[name] = [*lab.cluster.command("peer", f"\\copy {table_name} from '{file}' with (format binary)")]
    return commands


# the table that coinmill has, without what belongs to it
NARROW_POINT = """create table price_point (coin integer not null, resolution smallint not null,
ts timestamptz not null, price double precision, market_cap double precision, volume double precision,
landing bigint not null, primary key (coin, resolution, ts), check (price >= 0 and market_cap >= 0 and volume >= 0))"""


def into_postgresql(lab: Lab) -> Row:
    times, scaled = Times(), {f"{PANDAS} ({FEW} coins, {TIMES} {lab.coins / FEW:g})": lab.coins / FEW}
    floors = prepared(lab)
    url = lab.cluster.url("peer")
    for turn in range(lab.runs):
        for name, floor in floors.items():
            lab.cluster.fresh("peer")
            lab.cluster.sql("peer", POINT, NARROW_POINT, "checkpoint")
            took = command(floor)
            times.add(name, took, None, counted(lab, "peer", "price_point" if name == NARROW else "point"))
        settings = lab.fresh("postgresql")
        first = ours(lab, settings)
        times.add(COINMILL, first, ours(lab, settings), counted(lab, "timeseries", "timeseries.price_point"))
        for name, peer in ((EXPERT, "expert_python"), (POLARS, "polars_adbc")):
            lab.cluster.fresh("peer")
            asked = task(lab, url)
            first = command(script(peer), asked)
            times.add(name, first, command(script(peer), asked), counted(lab, "peer", "point"))
        if turn:
            continue
        for name, peer in ((DLT, "dlt_arrow"), (next(iter(scaled)), "pandas_sqlalchemy")):
            lab.cluster.fresh("peer")
            asked = task(lab, url, FEW if name in scaled else None)
            times.add(name, command(script(peer), asked), None, counted(lab, "peer", "point"))
    checked(times, lab, scaled)
    lab.cluster.fresh("peer")
    points = lab.coins * lab.days * 24
    return Row(
        f"{lab.coins} coins {TIMES} {lab.days} days hourly, API to PostgreSQL: {points:,} points",
        "Wall: from the start of a process to its end, its tables made within; coinmill's are two, `init` and "
        f"`backfill --top {lab.coins} --days {lab.days} --resolution 1h`, which takes a snapshot first, and lands "
        "every body. Floor: psql's binary COPY of the same rows, parsed and encoded before, into an empty keyed "
        f"table, as the rows came to the first peer; {TIMES} floor: the median of each round's ratio. Again: the same "
        "commands once more, every row being there. CPU and peak memory are the client's, user and system, not the "
        "server's.",
        f"Aims: 0.8 {TIMES} floor, again 0.1; 0.5 s of CPU, 60 MB.",
        times.shown(AS_CAME, scaled),
    )


def into_sqlite(lab: Lab) -> Row:
    times = Times()
    for _ in range(lab.runs):
        settings = lab.fresh("sqlite")
        first = ours(lab, settings)
        again = ours(lab, settings)
        file = Path(settings["COINMILL_DATA_DIR"]) / "timeseries.db"
        times.add(COINMILL, first, again, rows_of(file, "price_point"))
        for name, peer in ((SQLITE_EXPERT, "sqlite_expert"), (SQLITE_BY_HAND, "sqlite_by_hand")):
            file = lab.scratch / "peer.db"
            for old in lab.scratch.glob("peer.db*"):
                old.unlink()
            asked = task(lab, str(file))
            first = command(script(peer), asked)
            times.add(name, first, command(script(peer), asked), rows_of(file, "point"))
    checked(times, lab, {})
    return Row(
        "The same into SQLite",
        "As above; each commit of every contender is durable (`synchronous = full`).",
        "Aim: 0.6 s.",
        times.shown(None, {}),
    )


def rows_of(file: Path, table_name: str) -> int:
    with closing(sqlite3.connect(file)) as database:
        found: int = database.execute(f"select count(*) from {table_name}").fetchone()[0]
    return found
