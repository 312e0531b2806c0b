"""What a backfill's peers are given: the market, the database, the coins and the span; and the table that they fill."""

from __future__ import annotations

import os
from collections.abc import Iterator

API = os.environ["BENCH_API"]
DATABASE = os.environ["BENCH_DATABASE"]
COINS = os.environ["BENCH_COINS"].split(",")
START, END = int(os.environ["BENCH_START"]), int(os.environ["BENCH_END"])
AGENT = {"User-Agent": "coinmill-benchmark"}
WINDOW = 90 * 86_400
AT_ONCE = 8

POINT = """create table if not exists point (
  coin_id text not null,
  ts timestamptz not null,
  price double precision not null check (price > 0),
  market_cap double precision,
  volume double precision,
  primary key (coin_id, ts)
)"""
POINT_IN_SQLITE = POINT.replace("timestamptz", "integer").replace("double precision", "real")


def requests_of(coins: list[str]) -> Iterator[tuple[str, str, dict[str, str]]]:
    """The coin, URL and parameters of each request: five windows a coin for a year."""
    for coin in coins:
        for start in range(START, END, WINDOW):
            # `to` belongs to the span
            end = min(start + WINDOW, END) - 1
            span = {"vs_currency": "usd", "from": str(start), "to": str(end), "precision": "full"}
            yield coin, f"{API}/coins/{coin}/market_chart/range", span
