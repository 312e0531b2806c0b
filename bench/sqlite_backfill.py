"""A year of hourly history into SQLite: coinmill beside what people write first, requests and executemany.

    python bench/sqlite_backfill.py --coinmill target/release/coinmill [--api URL] [--coins 50] [--runs 3]

Without --api it starts `coinmill sim`. Each contender runs in turn, end to end, into a file of its own; printed are the
medians of the wall time and their ratio. Needs the package `requests`.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DAY = 86_400
WINDOW = 90 * DAY
DDL = """create table if not exists price_point (coin text, ts integer, price real, market_cap real, volume real,
primary key (coin, ts))"""


def by_hand(api: str, coins: list[str], days: int, file: str) -> None:
    """One window after the other with requests, one executemany a body."""
    import requests

    database = sqlite3.connect(file)
    database.execute(DDL)
    now = int(time.time()) // 3600 * 3600
    with requests.Session() as session:
        session.headers["User-Agent"] = "sqlite-backfill-benchmark"
        for coin in coins:
            for start in range(now - days * DAY, now, WINDOW):
                span = {"vs_currency": "usd", "from": start, "to": min(start + WINDOW, now)}
                response = session.get(f"{api}/coins/{coin}/market_chart/range", params=span, timeout=60)
                response.raise_for_status()
                body = response.json()
                columns = zip(body["prices"], body["market_caps"], body["total_volumes"], strict=True)
                rows = [(coin, p[0], p[1], m[1], v[1]) for p, m, v in columns]
                database.executemany("insert or ignore into price_point values (?, ?, ?, ?, ?)", rows)
                database.commit()


@contextmanager
def market(coinmill: str, api: str | None) -> Iterator[str]:
    """The API to ask: the one given, or a simulated market."""
    if api:
        yield api
        return
    server = subprocess.Popen([coinmill, "--json", "sim", "--port", "0"], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        yield json.loads(server.stdout.readline())["url"]
    finally:
        server.terminate()
        server.wait()


def timed(command: list[str], env: dict[str, str] | None = None) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=env)
    return time.perf_counter() - began


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--coinmill", default="coinmill")
    options.add_argument("--api")
    options.add_argument("--coins", type=int, default=50)
    options.add_argument("--days", type=int, default=365)
    options.add_argument("--runs", type=int, default=3)
    options.add_argument("--by-hand", nargs=3, metavar=("API", "COINS", "FILE"), help=argparse.SUPPRESS)
    o = options.parse_args()
    if o.by_hand:
        by_hand(o.by_hand[0], o.by_hand[1].split(","), o.days, o.by_hand[2])
        return
    with market(o.coinmill, o.api) as api, tempfile.TemporaryDirectory() as folder:
        import requests

        pages = {"vs_currency": "usd", "per_page": o.coins, "page": 1}
        listed = requests.get(f"{api}/coins/markets", params=pages, headers={"User-Agent": "benchmark"}, timeout=60)
        coins = ",".join(row["id"] for row in listed.json())
        span = ["--days", str(o.days), "--resolution", "1h"]
        times: dict[str, list[float]] = {"coinmill": [], "requests + executemany": []}
        for run in range(o.runs):
            data = Path(folder) / str(run)
            env = {**os.environ, "COINMILL_API_URL": api, "COINMILL_PLAN": "unlimited", "COINMILL_DATA_DIR": str(data)}
            times["coinmill"].append(timed([o.coinmill, "backfill", *span, "--coins", coins], env))
            hand = [sys.executable, __file__, "--days", str(o.days), "--by-hand", api, coins, f"{data}.db"]
            times["requests + executemany"].append(timed(hand))
        ours = sqlite3.connect(data / "timeseries.db").execute("select count(*) from price_point").fetchone()[0]
        theirs = sqlite3.connect(f"{data}.db").execute("select count(*) from price_point").fetchone()[0]
        for name, seconds in times.items():
            spread = f"{min(seconds):.2f} to {max(seconds):.2f}"
            print(f"{name:24s} {statistics.median(seconds):6.2f} s  ({spread})")
        ratios = [b / a for a, b in zip(*times.values(), strict=True)]
        print(f"ratio {statistics.median(ratios):.1f}; points stored: {ours} and {theirs}")


if __name__ == "__main__":
    main()
