"""Indicators of 250 coins at five minutes for 30 days, beside what people write with polars and pandas; medians.

Run it with a release build of the package: `maturin develop --release`, then `python bench/indicators.py`.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy
import pandas
import polars

import coinmill

FEW: dict[str, Any] = dict.fromkeys(("macd", "bollinger", "volatility", "support", "trend"))
FEW |= {"sma": (7, 30, 90), "ema": (7, 30, 90), "rsi": 14, "returns": False, "cyclical": False}


def market(coins: int, points: int) -> polars.DataFrame:
    """Coins one after the other, in the order of time."""
    noise = numpy.random.default_rng(1).normal(size=(coins, points)) * 1e-3
    stamps = numpy.arange(points) * 300_000 + 1_767_225_600_000
    columns = {
        "coin_id": numpy.repeat([f"coin-{i}" for i in range(coins)], points),
        "ts": polars.Series(numpy.tile(stamps, coins)).cast(polars.Datetime("ms", "UTC")),
        "price": (100 * numpy.exp(noise.cumsum(axis=1))).ravel(),
    }
    return polars.DataFrame(columns)


def with_polars(rows: polars.DataFrame) -> object:
    """SMA, EMA and RSI by expressions over coins; its EMAs begin with the first price, not with a mean."""
    price, change = polars.col("price"), polars.col("price").diff()
    rise = change.clip(lower_bound=0).ewm_mean(alpha=1 / 14, adjust=False)
    fall = (-change).clip(lower_bound=0).ewm_mean(alpha=1 / 14, adjust=False)
    wanted = [price.rolling_mean(n).over("coin_id").alias(f"sma_{n}") for n in (7, 30, 90)]
    wanted += [price.ewm_mean(span=n, adjust=False).over("coin_id").alias(f"ema_{n}") for n in (7, 30, 90)]
    return rows.with_columns(*wanted, (100 * rise / (rise + fall)).over("coin_id").alias("rsi_14"))


def with_pandas(rows: pandas.DataFrame) -> object:
    """The same by groups."""
    prices = rows.groupby("coin_id", sort=False)["price"]
    added = {f"sma_{n}": prices.rolling(n).mean().to_numpy() for n in (7, 30, 90)}
    added |= {f"ema_{n}": prices.ewm(span=n, adjust=False).mean().to_numpy() for n in (7, 30, 90)}
    change = prices.diff()
    rise, fall = (
        part.groupby(rows["coin_id"], sort=False).ewm(alpha=1 / 14, adjust=False).mean().to_numpy()
        for part in (change.clip(lower=0), (-change).clip(lower=0))
    )
    return rows.assign(**added, rsi_14=100 * rise / (rise + fall))


def main() -> None:
    """Prints the seconds of each contender and their ratio to the first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--coins", type=int, default=250)
    parser.add_argument("--points", type=int, default=8_640)
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args()
    rows = market(options.coins, options.points)
    in_pandas = rows.to_pandas()
    contenders: dict[str, Callable[[], object]] = {
        "coinmill, SMA, EMA and RSI (7 columns)": lambda: coinmill.indicators(rows, **FEW),
        "polars, the same columns": lambda: with_polars(rows),
        "pandas, the same columns": lambda: with_pandas(in_pandas),
        "coinmill, all defaults (23 columns)": lambda: coinmill.indicators(rows),
    }
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(options.turns):
        for name, run in contenders.items():
            begin = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - begin)
    first = statistics.median(next(iter(seconds.values())))
    print(f"{rows.height:,} rows, {options.turns} turns, polars on {polars.thread_pool_size()} threads")
    for name, taken in seconds.items():
        median = statistics.median(taken)
        print(f"{name:42} {median:7.2f} s ({min(taken):.2f} to {max(taken):.2f})  x {median / first:.2f}")


if __name__ == "__main__":
    main()
