"""Five years of half-hours: what reads and runs cost beside a database that is new.

    python bench/scale.py [--kinds postgresql,sqlite] [--slots 87600] [--days5m 438] [--days1h 1440]

Each kind in turn: two pairs of databases, a simulated market, a few real half-hours in both; then one pair gets the
history that lies before them, by SQL, as years of runs would have left it. Reads are timed on both, half-hours on both
in turn; printed are medians as Markdown. The databases need 15 GB (PostgreSQL) and 10 GB (SQLite), one after the other,
and are removed. Run it with a Python that has the optimised package: `make bench-scale`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import coinmill

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from postgres import cluster

NOON = datetime(2026, 1, 14, 12, 10, tzinfo=timezone.utc)
HALF_HOUR = 1800
DAY = 86_400
READS, TICKS, BEFORE = 7, 9, 3
BACKFILLS, BACKFILL_COINS = 5, 50

# One statement each. `{slots}` and the like are rows with numbers from 1 on, `{t}` and the like instants made of them.
# Ids are negative, so that those of later commits go on from what the real half-hours left.
RUNS = """
insert into {schema}run (id, kind, slot, resolution, state, started_at, finished_at, calls, stored, version, rule_set,
                         api_url)
select 'old-' || n, '{kind}', {slot}, {resolution}, 'complete', {t}, {t}, 1, 250, '0', '', '' from {slots};
insert into {schema}"commit" (id, at, run) select n - 1000000, {t}, 'old-' || n from {slots};
"""
SNAPSHOT = """
insert into {schema}landing (id, "commit", run, path, request, status, sha256, bytes, received_at)
select n - 1000000, n - 1000000, 'old-' || n, 'old/' || n || '/0001.zst', 'GET /', 200, 'sha256', 300000, {t}
from {slots};
insert into {schema}snapshot (snapshot_time, "commit", top, expected, received, state, content_hash, total_market_cap,
                              named, missing, unknown, refused, retried)
select {t}, n - 1000000, 250, 250, 250, 'complete', 'hash', 3e12, '[]', '[]', '[]', '[]', '[]' from {slots};
insert into {schema}quote ({quote_columns})
select {t}, {quote_values}, n - 1000000 from {slots} cross join
  (select * from {schema}quote where snapshot_time = (select min(snapshot_time) from {schema}quote)) q
order by n, q.coin;
insert into {schema}quarantine (id, landing, body, record, coin, rule, reason, raw)
select n - 1000000, n - 1000000, 'old/' || n || '/0001.zst', 0, 'bitcoin', 'wrong_type', 'a text', '{{}}'
from {slots} where n % 100 = 0;
insert into {schema}tally ("commit", snapshots, complete, quotes, quarantined)
select n - 1000000, n, n, 250 * n, n / 100 from {slots};
update {schema}tally set snapshots = snapshots + {all}, complete = complete + {all}, quotes = quotes + 250 * {all},
  quarantined = quarantined + {all} / 100 where "commit" > 0;
"""
# a coin is visited once a day at 5m, and its hours came in windows of 90 days
SERIES = """
insert into {schema}landing (id, "commit", run, path, request, status, sha256, bytes, received_at)
select {landing5m}, {slot5m} - 1000000, 'old-' || {slot5m}, 'old/' || c.key || '/' || d.n || '.zst', 'GET /', 200,
  'sha256', 20000, {t5m} from {days5m} cross join {schema}coin c;
insert into {schema}coverage (coin, resolution, starts_at, ends_at, landing, "commit")
select c.key, 5, {t5m}, {t5m_next}, {landing5m}, {slot5m} - 1000000 from {days5m} cross join {schema}coin c;
insert into {schema}landing (id, "commit", run, path, request, status, sha256, bytes, received_at)
select {landing1h}, w.n - 1000000, 'old-' || w.n, 'older/' || c.key || '/' || w.n || '.zst', 'GET /', 200, 'sha256',
  90000, {t1h} from {windows} cross join {schema}coin c;
insert into {schema}coverage (coin, resolution, starts_at, ends_at, landing, "commit")
select c.key, 60, {t1h}, {t1h_next}, {landing1h}, w.n - 1000000 from {windows} cross join {schema}coin c;
insert into {schema}price_point (coin, resolution, ts, price, market_cap, volume, landing)
select c.key, 5, {p5m}, 1000.0 + d.n + m.n / 1000.0, 1e9, 1e7, {landing5m}
from {schema}coin c cross join {days5m} cross join {points5m} order by c.key, d.n, m.n;
insert into {schema}price_point (coin, resolution, ts, price, market_cap, volume, landing)
select c.key, 60, {p1h}, 1000.0 + w.n + m.n / 1000.0, 1e9, 1e7, {landing1h}
from {schema}coin c cross join {windows} cross join {points1h} order by c.key, w.n, m.n;
insert into {schema}price_revision (coin, resolution, ts, price, market_cap, volume, landing)
select c.key, 5, {p5m}, 7.0, 1e9, 1e7, {landing5m}
from {schema}coin c cross join {days5m} cross join {points5m} where m.n = 7 and d.n % 10 = 0;
insert into {schema}tally (resolution, "commit", coins, points, first_ts, newest_ts)
select 5, n - 1000000, 250, 360 * n, {t}, {t} from {slots};
update {schema}tally set points = points + 250 * 288 * {all5m}, first_ts = {first5m} where "commit" > 0;
insert into {schema}tally (resolution, "commit", coins, points, first_ts, newest_ts)
select 60, -1, 250, count(*), min(ts), max(ts) from {schema}price_point where resolution = 60;
"""


class Fill:
    """The statements that make the history, in one dialect."""

    def __init__(self, kind: str, o: argparse.Namespace) -> None:
        self.is_postgres, self.o = kind == "postgresql", o
        self.end = int(NOON.timestamp()) // HALF_HOUR * HALF_HOUR - 10 * HALF_HOUR

    def at(self, seconds: str) -> str:
        return f"to_timestamp({seconds})" if self.is_postgres else f"1000 * ({seconds})"

    def numbers(self, count: int, name: str) -> str:
        if self.is_postgres:
            return f"generate_series(1, {count}) {name} (n)"
        recursive = f"with recursive r (n) as (values (1) union all select n + 1 from r where n < {count})"
        return f"({recursive} select n from r) {name}"

    def of(self, schema: str, quote_columns: list[str]) -> list[str]:
        o, end = self.o, self.end
        windows = o.days1h // 90
        five = f"{end} - {DAY} * ({o.days5m} + 1 - d.n)"
        hour = f"{end} - {90 * DAY} * ({windows} + 1 - w.n)"
        prefix = f"{schema}." if self.is_postgres else ""
        names = {
            "schema": prefix,
            "kind": schema,
            "slots": self.numbers(o.slots, "s"),
            "all": o.slots,
            "all5m": o.days5m,
            "first5m": self.at(f"{end} - {DAY} * {o.days5m}"),
            "slot5m": f"({o.slots} - {o.days5m} + d.n)",
            "t": self.at(f"{end} - {HALF_HOUR} * ({o.slots} - n)"),
            "slot": self.at(f"{end} - {HALF_HOUR} * ({o.slots} - n)") if schema == "snapshot" else "null",
            "resolution": "null" if schema == "snapshot" else "5",
            "quote_columns": ", ".join(quote_columns),
            "quote_values": ", ".join(f"q.{name}" for name in quote_columns[1:-1]),
            "days5m": self.numbers(o.days5m, "d"),
            "windows": self.numbers(windows, "w"),
            "points5m": self.numbers(288, "m"),
            "points1h": self.numbers(90 * 24, "m"),
            "t5m": self.at(five),
            "t5m_next": self.at(f"{five} + {DAY}"),
            "t1h": self.at(hour),
            "t1h_next": self.at(f"{hour} + {90 * DAY}"),
            "p5m": self.at(f"{five} + 300 * (m.n - 1)"),
            "p1h": self.at(f"{hour} + 3600 * (m.n - 1)"),
            "landing5m": f"-1 - (c.key * {o.days5m} + d.n)",
            "landing1h": f"-50000000 - (c.key * {windows} + w.n)",
        }
        script = RUNS + (SNAPSHOT if schema == "snapshot" else SERIES)
        return [statement for statement in script.format(**names).split(";\n") if statement.strip()]


class Pair:
    """Two databases, and a Mill over them."""

    def __init__(self, urls: dict[str, str], folder: Path, sim: coinmill.Sim) -> None:
        self.urls = urls
        self.settings = {
            **sim.settings,
            "snapshot_url": urls["snapshot"],
            "timeseries_url": urls["timeseries"],
            "landing_dir": str(folder / "landing"),
        }
        self.unlimited = coinmill.Mill(**self.settings)
        self.mill = coinmill.Mill(**self.settings, credits_per_month=10_000)

    def sql(self, schema: str, statements: list[str]) -> None:
        url = self.urls[schema]
        if url.startswith("sqlite"):
            database = sqlite3.connect(url.removeprefix("sqlite://"), isolation_level=None)
            for pragma in (
                "locking_mode = exclusive",
                "journal_mode = off",
                "synchronous = off",
                "cache_size = -1000000",
            ):
                database.execute(f"pragma {pragma}").fetchall()
            for statement in statements:
                database.execute(statement)
            database.execute("pragma locking_mode = normal").fetchall()
            database.execute("pragma journal_mode = wal").fetchall()
            database.close()
            return
        # replica: the rows are made from rows, so that a look at each foreign key would only take time
        setting = f"set session_replication_role = replica; set search_path = {schema}; set timezone = 'UTC'"
        for statement in statements:
            psql(url, [setting, statement])

    def query(self, schema: str, sql: str) -> tuple[float, int]:
        """How long a query takes in an open session, in ms, and how many rows it gives."""
        url = self.urls[schema]
        if url.startswith("sqlite"):
            database = sqlite3.connect(url.removeprefix("sqlite://"))
            began = time.perf_counter()
            rows = len(database.execute(sql).fetchall())
            took = (time.perf_counter() - began) * 1000
            database.close()
            return took, rows
        told = psql(url, [f"set search_path = {schema}", r"\timing on", f"{sql}"]).splitlines()
        times = [line for line in told if line.startswith("Time: ")]
        return float(times[-1].split()[1]), len(told) - 1

    def size(self) -> float:
        """GB of both."""
        if self.urls["snapshot"].startswith("sqlite"):
            files = [Path(url.removeprefix("sqlite://")) for url in self.urls.values()]
            return sum(file.stat().st_size for file in files) / 1e9
        sizes = [psql(url, ["select pg_database_size(current_database())"]) for url in self.urls.values()]
        return sum(int(size) for size in sizes) / 1e9


def psql(url: str, commands: list[str]) -> str:
    command = [os.environ["COINMILL_TEST_PSQL"], "-qtAX", "-v", "ON_ERROR_STOP=1", url]
    for one in commands:
        command += ["-c", one]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@contextmanager
def pairs(kind: str, scratch: Path, sim: coinmill.Sim) -> Iterator[dict[str, Pair]]:
    names = ["new", "full"]
    if kind == "sqlite":
        yield {
            name: Pair(
                {schema: f"sqlite://{scratch / name / schema}.db" for schema in ("snapshot", "timeseries")},
                scratch / name,
                sim,
            )
            for name in names
        }
        return
    with cluster() as administrator:
        made = {}
        for name in names:
            urls = {}
            for schema in ("snapshot", "timeseries"):
                psql(administrator, [f"create database {name}_{schema}"])
                urls[schema] = urlsplit(administrator)._replace(path=f"/{name}_{schema}").geturl()
            made[name] = Pair(urls, scratch / name, sim)
        yield made


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    done = work()
    return (time.perf_counter() - began) * 1000, done


def shown(times: list[float]) -> str:
    return f"{statistics.median(times):,.1f} ({min(times):,.1f} to {max(times):,.1f})"


def tick(mill: coinmill.Mill) -> tuple[float, float]:
    snapshot, report = timed(mill.run_snapshot)
    assert report["state"] == "complete", report
    series, report = timed(mill.run_timeseries)
    assert report["state"] in ("complete", "partial"), report
    return snapshot, series


def measure(kind: str, scratch: Path, o: argparse.Namespace) -> None:
    sim = coinmill.Sim(market_size=1000, clock=NOON - timedelta(seconds=BEFORE * HALF_HOUR), frozen=True)
    with pairs(kind, scratch, sim) as both:
        new, full = both["new"], both["full"]
        for pair in both.values():
            pair.mill.init()
        for _ in range(BEFORE):
            for pair in both.values():
                tick(pair.unlimited)
            sim.advance(HALF_HOUR)
        fill = Fill(kind, o)
        began = time.perf_counter()
        for schema in ("snapshot", "timeseries"):
            columns = quote_columns(full) if schema == "snapshot" else []
            statements = fill.of(schema, columns)
            if kind == "postgresql":
                statements += ["checkpoint", "vacuum analyze"]
            full.sql(schema, statements)
        print(f"\n## {kind}: {full.size():.1f} GB, made in {(time.perf_counter() - began) / 60:.1f} min\n", flush=True)
        reads(kind, full, new)
        ticks: dict[str, list[tuple[float, float]]] = {"new": [], "full": []}
        for _ in range(TICKS):
            sim.advance(HALF_HOUR)
            for name, pair in both.items():
                ticks[name].append(tick(pair.mill))
        idle = {name: [timed(pair.mill.run_snapshot)[0] for _ in range(READS)] for name, pair in both.items()}
        print("| half-hour | new, ms | full, ms | full / new |\n| --- | --- | --- | --- |")
        for place, what in enumerate(("snapshot run", "series run")):
            of = {name: [pair[place] for pair in times] for name, times in ticks.items()}
            ratio = statistics.median(of["full"]) / statistics.median(of["new"])
            print(f"| {what} | {shown(of['new'])} | {shown(of['full'])} | {ratio:.2f} |")
        whole = {name: statistics.median(sum(pair) for pair in times) for name, times in ticks.items()}
        print(f"| both | {whole['new']:,.1f} | {whole['full']:,.1f} | {whole['full'] / whole['new']:.2f} |")
        ratio = statistics.median(idle["full"]) / statistics.median(idle["new"])
        print(f"| run with nothing to do | {shown(idle['new'])} | {shown(idle['full'])} | {ratio:.2f} |", flush=True)
        backfills(sim, both)


def quote_columns(pair: Pair) -> list[str]:
    """The columns of `quote`, the key first and the landing last."""
    url = pair.urls["snapshot"]
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite://"))) as database:
            return [row[1] for row in database.execute("pragma table_info(quote)")]
    sql = "select column_name from information_schema.columns where table_name = 'quote' order by ordinal_position"
    return psql(url, [sql]).split()


def reads(kind: str, full: Pair, new: Pair) -> None:
    month = (NOON - timedelta(days=40)).isoformat(), (NOON - timedelta(days=10)).isoformat()
    day = (NOON - timedelta(days=3)).isoformat(), (NOON - timedelta(days=2)).isoformat()
    asked: list[tuple[str, Callable[[Pair], tuple[float, int]]]] = [
        ("`status()`", lambda pair: of(lambda: pair.mill.status()["snapshot"]["quotes"])),
        ("`runs()`", lambda pair: of(lambda: len(pair.mill.runs()))),
        ("`quotes()`", lambda pair: of(lambda: len(pair.mill.quotes()))),
        ("`prices()`: one coin's month at 5m", lambda pair: of(lambda: points(pair, ["bitcoin"], *month))),
        ("`prices()`: one coin, all of 5m", lambda pair: of(lambda: points(pair, ["bitcoin"], None, None))),
        ("`prices()`: all coins' day at 5m", lambda pair: of(lambda: points(pair, None, *day))),
        ("SQL: `v_current_snapshot`", lambda pair: pair.query("snapshot", "select * from v_current_snapshot")),
        ("SQL: `v_latest_prices`", lambda pair: pair.query("snapshot", "select * from v_latest_prices")),
        (
            "SQL: `v_price_series`, one coin's month",
            lambda pair: pair.query("timeseries", month_sql(kind, *month)),
        ),
    ]
    print("| read | rows | full, ms | new, ms |\n| --- | --- | --- | --- |")
    for what, read in asked:
        times: dict[str, list[float]] = {"full": [], "new": []}
        rows = 0
        for _ in range(READS):
            for name, pair in (("full", full), ("new", new)):
                try:
                    took, found = read(pair)
                except coinmill.DataError:
                    continue
                times[name].append(took)
                rows = found if name == "full" else rows
        others = shown(times["new"]) if times["new"] else ""
        print(f"| {what} | {rows:,} | {shown(times['full'])} | {others} |", flush=True)
    memory(full, *month)


def month_sql(kind: str, start: str, end: str) -> str:
    one = "select * from v_price_series where coin_id = 'bitcoin' and resolution = '5m'"
    if kind == "postgresql":
        return f"{one} and ts >= '{start}' and ts < '{end}'"
    stamps = [int(datetime.fromisoformat(at).timestamp() * 1000) for at in (start, end)]
    return f"{one} and ts_ms >= {stamps[0]} and ts_ms < {stamps[1]}"


# a process of its own, so that nothing else is in its memory; a point has four numbers of 8 bytes and a place in the
# dictionary of 4
MEMORY = """
import json, resource, sys, coinmill
settings, start, end = json.loads(sys.argv[1])
mill = coinmill.Mill(**settings)
mill.prices(["bitcoin"], start, end, resolution="5m")
peak = lambda who: resource.getrusage(who).ru_maxrss // 1024
before = peak(resource.RUSAGE_SELF), peak(resource.RUSAGE_CHILDREN)
frame = mill.prices(None, start, end, resolution="5m")
after = peak(resource.RUSAGE_SELF), peak(resource.RUSAGE_CHILDREN)
print(json.dumps([len(frame), [b - a for a, b in zip(before, after)]]))
"""


def memory(pair: Pair, start: str, end: str) -> None:
    """How much memory a read takes beyond what a small one does, in its process and in the worker's."""
    asked = json.dumps([pair.settings, start, end])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", MEMORY, asked], check=True, capture_output=True, text=True
    )
    rows, (reader, worker) = json.loads(done.stdout)
    print(
        f"\nAll coins' month at 5m: {rows:,} rows, a frame of {rows * 36 / 1e6:,.0f} MB; its reader took {reader:,} MB"
        f" more than for one coin, its worker {worker:,} MB.\n",
        flush=True,
    )


# a process of its own for each, so that its peak is this backfill's; on SQLite the work is a worker's
BACKFILL = """
import json, resource, sys, time, coinmill
settings, coins = json.loads(sys.argv[1])
mill = coinmill.Mill(**settings)
began = time.perf_counter()
report = mill.backfill(days=365, resolution="1h", coins=coins)
took = time.perf_counter() - began
assert report["state"] == "complete", report
who = resource.RUSAGE_CHILDREN if settings["snapshot_url"].startswith("sqlite") else resource.RUSAGE_SELF
print(json.dumps([report["stored"] / took, resource.getrusage(who).ru_maxrss / 1000]))
"""


def backfills(sim: coinmill.Sim, both: dict[str, Pair]) -> None:
    """Points a second and peak memory of a year of hours, of coins that nobody has asked for, in both pairs in turn."""
    listed = f"{sim.url}/coins/markets?vs_currency=usd&per_page=250&page=3"
    request = urllib.request.Request(listed, headers={"User-Agent": "coinmill-benchmark"})
    with urllib.request.urlopen(request) as response:
        coins = [row["id"] for row in json.load(response)]
    speeds: dict[str, list[float]] = {name: [] for name in both}
    peaks: dict[str, list[float]] = {name: [] for name in both}
    for turn in range(BACKFILLS):
        chosen = coins[turn * BACKFILL_COINS : (turn + 1) * BACKFILL_COINS]
        for name, pair in both.items():
            command = [sys.executable, "-W", "ignore", "-c", BACKFILL, json.dumps([pair.settings, chosen])]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            speed, peak = json.loads(done.stdout)
            speeds[name].append(speed)
            peaks[name].append(peak)
    ratio = statistics.median(speeds["full"]) / statistics.median(speeds["new"])
    print(f"\n| a year of hours of {BACKFILL_COINS} coins | new | full | full / new |\n| --- | --- | --- | --- |")
    print(f"| points a second | {shown(speeds['new'])} | {shown(speeds['full'])} | {ratio:.2f} |")
    print(f"| peak memory, MB | {shown(peaks['new'])} | {shown(peaks['full'])} | |", flush=True)


def points(pair: Pair, coins: list[str] | None, start: str | None, end: str | None) -> int:
    return len(pair.mill.prices(coins, start, end, resolution="5m"))


def of(work: Callable[[], int]) -> tuple[float, int]:
    return timed(work)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--kinds", default="postgresql,sqlite")
    options.add_argument("--slots", type=int, default=87_600)
    options.add_argument("--days5m", type=int, default=438)
    options.add_argument("--days1h", type=int, default=1440)
    o = options.parse_args()
    warnings.simplefilter("ignore", coinmill.CoverageWarning)
    for kind in o.kinds.split(","):
        scratch = Path(tempfile.mkdtemp(prefix="coinmill-scale-"))
        try:
            measure(kind, scratch, o)
        finally:
            shutil.rmtree(scratch)


if __name__ == "__main__":
    main()
