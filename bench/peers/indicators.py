"""Ten indicators of many series: coinmill, TA-Lib, polars and pandas, each from the form of the data that suits it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import numpy
import polars
import pyarrow
import talib
from turns import in_turn

import coinmill

asked = json.loads(sys.argv[1])
SERIES, POINTS = asked["series"], asked["points"]
prices = 100 * numpy.exp(numpy.random.default_rng(1).normal(0, 0.01, (SERIES, POINTS)).cumsum(axis=1))
first = int(datetime(2026, 1, 1, tzinfo=timezone.utc).timestamp() * 1000)
stamps = numpy.tile(first + numpy.arange(POINTS) * 300_000, SERIES)
coins = pyarrow.array(numpy.repeat(numpy.arange(SERIES, dtype="i4"), POINTS))
# as a Mill's frames are
table = pyarrow.table(
    {
        "coin_id": pyarrow.DictionaryArray.from_arrays(coins, [f"coin-{one:03}" for one in range(SERIES)]),
        "ts": pyarrow.array(stamps, pyarrow.timestamp("ms", "UTC")),
        "price": prices.ravel(),
    }
)
frame = polars.DataFrame({"coin": numpy.repeat(numpy.arange(SERIES), POINTS), "price": prices.ravel()})
grouped = frame.to_pandas().groupby("coin", sort=False)["price"]


def by_coinmill() -> Any:
    return coinmill.indicators(
        table,
        sma=(7, 30, 90),
        ema=(12, 26),
        rsi=14,
        macd=(12, 26, 9),
        bollinger=(20, 2.0),
        volatility=7,
        support=None,
        trend=None,
        returns=False,
        cyclical=False,
    )


def by_talib() -> Any:
    made = []
    for series in prices:
        made += [talib.SMA(series, n) for n in (7, 30, 90)]
        made += [talib.EMA(series, n) for n in (12, 26)]
        made += [talib.RSI(series, 14), talib.MACD(series, 12, 26, 9), talib.BBANDS(series, 20, 2.0, 2.0)]
        made.append(talib.STDDEV(numpy.diff(numpy.log(series)), 7))
    return made


def by_polars() -> Any:
    price, step = polars.col("price"), polars.col("price").diff()
    rise = step.clip(lower_bound=0).ewm_mean(alpha=1 / 14, adjust=False)
    fall = (-step).clip(lower_bound=0).ewm_mean(alpha=1 / 14, adjust=False)
    fast, slow = (price.ewm_mean(span=n, adjust=False) for n in (12, 26))
    middle, deviation = price.rolling_mean(20), price.rolling_std(20, ddof=0)
    signal = (fast - slow).ewm_mean(span=9, adjust=False)
    wanted = {f"sma_{n}": price.rolling_mean(n) for n in (7, 30, 90)}
    wanted |= {"ema_12": fast, "ema_26": slow, "rsi_14": 100 * rise / (rise + fall)}
    wanted |= {"macd": fast - slow, "macd_signal": signal, "macd_histogram": fast - slow - signal}
    wanted |= {"middle": middle, "upper": middle + 2 * deviation, "lower": middle - 2 * deviation}
    wanted |= {"volatility_7": price.log().diff().rolling_std(7)}
    return frame.lazy().with_columns(**{name: one.over("coin") for name, one in wanted.items()}).collect()


def by_pandas() -> Any:
    made = [grouped.rolling(n).mean() for n in (7, 30, 90)]
    fast, slow = (grouped.ewm(span=n, adjust=False).mean() for n in (12, 26))
    step = grouped.diff()
    coin = frame_of_coins
    rise, fall = (
        part.groupby(coin, sort=False).ewm(alpha=1 / 14, adjust=False).mean()
        for part in (step.clip(lower=0), (-step).clip(lower=0))
    )
    macd = (fast - slow).droplevel(0)
    signal = macd.groupby(coin, sort=False).ewm(span=9, adjust=False).mean()
    middle, deviation = grouped.rolling(20).mean(), grouped.rolling(20).std(ddof=0)
    logs = numpy.log(grouped.obj).groupby(coin, sort=False).diff()
    made += [fast, slow, 100 * rise / (rise + fall), macd, signal, macd - signal.droplevel(0)]
    made += [middle, middle + 2 * deviation, middle - 2 * deviation, logs.groupby(coin, sort=False).rolling(7).std()]
    return made


frame_of_coins = frame["coin"].to_pandas()
contenders: dict[str, Callable[[], Any]] = {
    "TA-Lib": by_talib,
    "coinmill.indicators": by_coinmill,
    f"polars, {polars.thread_pool_size()} threads": by_polars,
    "pandas": by_pandas,
}
print(json.dumps(in_turn(contenders, asked["rounds"])))
