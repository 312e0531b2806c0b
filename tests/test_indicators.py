"""Indicators: equal to TA-Lib and to exact arithmetic, null until warm, and the same point by point as over a table."""

from __future__ import annotations

import copy
import inspect
import itertools
import math
import pickle
import statistics
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from fractions import Fraction
from typing import Any

import duckdb
import numpy
import pandas
import polars
import pyarrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import coinmill

START = datetime(2026, 1, 5, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)

# each is a level and the size of a step in parts of it
SCALES = {"usual": (100.0, 0.01), "stablecoin": (1.0, 1e-5), "tiny": (1e-9, 0.01), "large": (1e5, 0.01)}


def series(points: int, level: float, step: float) -> Any:
    """Prices around a level that go up and down and never far away."""
    noise = numpy.random.default_rng(7).normal(size=points)
    if step < 1e-3:
        return level * (1 + step * noise)
    return level * numpy.exp(step * numpy.cumsum(noise - 0.02 * numpy.cumsum(noise) / (1 + numpy.arange(points))) / 10)


def table(prices: Sequence[float | None], coin: str = "bitcoin", step: timedelta = HOUR) -> pyarrow.Table:
    """One coin's points on a grid."""
    stamps = [START + i * step for i in range(len(prices))]
    columns = {
        "coin_id": pyarrow.array([coin] * len(prices), pyarrow.string()),
        "ts": pyarrow.array(stamps, pyarrow.timestamp("ms", "UTC")),
        "price": pyarrow.array(prices, pyarrow.float64(), from_pandas=True),
    }
    return pyarrow.table(columns)


def columns(frame: coinmill.Frame) -> dict[str, Any]:
    """Columns as arrays in which null is NaN."""
    arrow = frame.to_arrow()
    return {name: arrow[name].to_numpy() for name in arrow.column_names if name not in ("coin_id", "ts")}


def same(a: object, b: object) -> bool:
    """Equal to the bit, nulls included."""
    return bool(pyarrow.table(a).equals(pyarrow.table(b)))


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("points", [300, 100_000])
def test_regular_series_are_equal_to_ta_lib(scale: str, points: int) -> None:
    talib = pytest.importorskip("talib", reason="it has wheels from Python 3.11 on")
    level, step = SCALES[scale]
    prices = series(points, level, step)
    ours = columns(coinmill.indicators(table(prices), sma=(1, 7, 30, 90), ema=(1, 7, 30, 90), support=20))
    upper, middle, lower = talib.BBANDS(prices, 20, 2.0, 2.0)
    macd, signal, histogram = talib.MACD(prices, 12, 26, 9)
    theirs = {
        **{f"sma_{n}": talib.SMA(prices, n) if n > 1 else prices for n in (1, 7, 30, 90)},
        **{f"ema_{n}": talib.EMA(prices, n) if n > 1 else prices for n in (1, 7, 30, 90)},
        **{"macd": macd, "macd_signal": signal, "macd_histogram": histogram},
        **{"bollinger_middle": middle, "bollinger_upper": upper, "bollinger_lower": lower},
        **{"support_20": talib.MIN(prices, 20), "resistance_20": talib.MAX(prices, 20)},
    }
    for name, expected in theirs.items():
        assert (numpy.isnan(ours[name]) == numpy.isnan(expected)).all(), name
        assert numpy.nanmax(abs(ours[name] - expected)) <= 1e-9 * level, name
    expected = talib.RSI(prices, 14)
    assert (numpy.isnan(ours["rsi_14"]) == numpy.isnan(expected)).all()
    assert numpy.nanmax(abs(ours["rsi_14"] - expected)) <= 1e-9 * 100


@pytest.mark.parametrize("scale", SCALES)
def test_windows_do_not_drift_from_exact_arithmetic(scale: str) -> None:
    level, step = SCALES[scale]
    prices = series(100_000, level, step)
    ours = columns(coinmill.indicators(table(prices), ema=(), rsi=None, macd=None, support=None, cyclical=False))
    for end in [20, 31, 5_000, 99_990, 100_000]:
        window = [Fraction(float(price)) for price in prices[end - 20 : end]]
        mean, deviation = float(statistics.mean(window)), math.sqrt(statistics.pvariance(window))
        assert ours["bollinger_middle"][end - 1] == pytest.approx(mean, rel=1e-15)
        width = (ours["bollinger_upper"][end - 1] - ours["bollinger_lower"][end - 1]) / 4
        # a bound is a number of the price's size, so its own last digits are what is lost
        assert width == pytest.approx(deviation, abs=4e-16 * level, rel=1e-12)
    for end in [5_000, 100_000]:
        logs = numpy.diff([math.log(float(price)) for price in prices[end - 31 : end]])
        expected = math.sqrt(sum(logs**2) / 30 * 365 * 24)
        assert ours["volatility_30"][end - 1] == pytest.approx(expected, rel=1e-9)


def test_what_ta_lib_rounds_to_zero_is_null_or_exact() -> None:
    flat = columns(coinmill.indicators(table([0.9997] * 40)))
    assert numpy.isnan(flat["rsi_14"]).all()
    assert flat["bollinger_upper"][-1] == flat["bollinger_lower"][-1] == flat["sma_30"][-1] == 0.9997
    assert (flat["volatility_30"][-1], flat["trend"][-1], flat["macd"][-1]) == (0, 0, 0)


def test_the_bare_call_keeps_the_rows_and_adds_a_useful_set() -> None:
    rows = table(series(120, 100.0, 0.01))
    frame = coinmill.indicators(rows)
    assert isinstance(frame, coinmill.Frame)
    assert same(frame.to_arrow().select(rows.column_names), rows)
    returns, bands = "simple_return, log_return", "bollinger_middle, bollinger_upper, bollinger_lower"
    averages = "sma_7, sma_30, sma_90, ema_7, ema_30, ema_90, rsi_14, macd, macd_signal, macd_histogram"
    levels, circles = "volatility_30, support_20, resistance_20, trend", "hour_sin, hour_cos, weekday_sin, weekday_cos"
    assert ", ".join(frame.columns[3:]) == ", ".join([returns, averages, bands, levels, circles])
    first = {name: values.null_count for name, values in zip(frame.columns, frame.to_arrow().columns, strict=True)}
    warm = {"log_return": 1, "sma_90": 89, "ema_7": 6, "rsi_14": 14, "macd": 33, "bollinger_upper": 19}
    warm |= {"volatility_30": 30, "support_20": 19, "trend": 29, "hour_sin": 0}
    assert {name: first[name] for name in warm} == warm
    assert str(frame.to_arrow().schema.field("trend").type) == "int64"


def test_what_is_left_out_is_not_there() -> None:
    rows = table(series(50, 100.0, 0.01))
    off: dict[str, Any] = dict.fromkeys(("ema", "rsi", "macd", "bollinger", "volatility", "support", "trend"))
    frame = coinmill.indicators(rows, **off, sma=7, returns=False, cyclical=False)
    assert frame.columns[3:] == ["sma_7"]
    assert coinmill.indicators(rows, **off, sma=(), returns=False, cyclical=False).columns == rows.column_names


def test_the_signature_says_the_defaults() -> None:
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(coinmill.indicators).parameters.items()
        if parameter.default is not parameter.empty
    }
    rows = table(series(120, 100.0, 0.01))
    assert same(coinmill.indicators(rows, **defaults), coinmill.indicators(rows))
    named = inspect.signature(coinmill.Indicators).parameters
    assert {name: parameter.default for name, parameter in named.items()} == {
        name: default for name, default in defaults.items() if name not in ("coin", "time", "value")
    }


def test_coins_may_be_mixed_and_have_series_of_their_own() -> None:
    coins = {coin: table(series(200, level, 0.01), coin) for coin, level in (("bitcoin", 9e4), ("pepe", 1e-6))}
    mixed = pyarrow.concat_tables(coins.values()).sort_by([("ts", "ascending"), ("coin_id", "descending")])
    together = coinmill.indicators(mixed).to_polars()
    for coin, alone in coins.items():
        rows = together.filter(polars.col("coin_id") == coin)
        assert rows.equals(coinmill.indicators(alone).to_polars())


def test_batches_do_not_matter() -> None:
    rows = table(series(200, 100.0, 0.01))
    cut = pyarrow.concat_tables([rows.slice(0, 1), rows.slice(1, 70), rows.slice(71, 0), rows.slice(71)])
    assert same(coinmill.indicators(cut).to_arrow().combine_chunks(), coinmill.indicators(rows))


Convert = Callable[[pyarrow.Table], object]
LIBRARIES: dict[str, Convert] = {
    "record batch": lambda rows: rows.to_batches()[0],
    "reader": lambda rows: rows.to_reader(),
    "polars": polars.DataFrame,
    "polars categories": lambda rows: polars.DataFrame(rows).with_columns(
        polars.col("coin_id").cast(polars.Categorical)
    ),
    "pandas": lambda rows: rows.to_pandas(),
    "pandas categories": lambda rows: rows.to_pandas().astype({"coin_id": "category"}),
    "duckdb": lambda rows: duckdb.sql("from rows"),
    "nanoseconds": lambda rows: rows.set_column(1, "ts", rows["ts"].cast(pyarrow.timestamp("ns", "UTC"))),
    "another zone": lambda rows: rows.set_column(1, "ts", rows["ts"].cast(pyarrow.timestamp("ms", "Asia/Kolkata"))),
    "no zone": lambda rows: rows.set_column(1, "ts", rows["ts"].cast(pyarrow.timestamp("us"))),
    "large text": lambda rows: rows.set_column(0, "coin_id", rows["coin_id"].cast(pyarrow.large_string())),
    "dictionary": lambda rows: rows.set_column(0, "coin_id", rows["coin_id"].dictionary_encode()),
}


@pytest.mark.parametrize("library", LIBRARIES)
def test_every_arrow_table_gives_the_same_numbers(library: str) -> None:
    coins = [table(series(100, level, 0.01), coin) for coin, level in (("bitcoin", 9e4), ("dai", 1.0))]
    rows = pyarrow.concat_tables(coins).combine_chunks()
    expected = coinmill.indicators(rows).to_arrow()
    frame = coinmill.indicators(LIBRARIES[library](rows)).to_arrow()
    added = expected.column_names[3:]
    assert frame.select(added).combine_chunks().equals(expected.select(added).combine_chunks())
    assert polars.DataFrame(frame)["coin_id"].cast(polars.String).to_list() == rows["coin_id"].to_pylist()


def test_numbers_of_every_kind_are_prices() -> None:
    prices = [float(price) for price in range(100, 150)]
    expected = coinmill.indicators(table(prices))
    for kind in (pyarrow.int64(), pyarrow.float32(), pyarrow.decimal128(20, 2)):
        rows = table(prices)
        rows = rows.set_column(2, "price", rows["price"].cast(kind))
        assert coinmill.indicators(rows).to_arrow()["rsi_14"].equals(expected.to_arrow()["rsi_14"])


def test_columns_can_be_named_and_a_table_without_coins_is_one_series() -> None:
    rows = table(series(60, 100.0, 0.01))
    expected = coinmill.indicators(rows).to_arrow()["sma_30"]
    renamed = rows.rename_columns(["symbol", "snapshot_time", "current_price"])
    frame = coinmill.indicators(renamed, coin="symbol", time="snapshot_time", value="current_price")
    assert frame.to_arrow()["sma_30"].equals(expected)
    candles = rows.drop_columns("coin_id").rename_columns(["ts", "close"])
    assert coinmill.indicators(candles).to_arrow()["sma_30"].equals(expected)


def test_prices_of_a_mill_keep_what_is_missing(sim: coinmill.Sim, tmp_path: Any) -> None:
    mill = coinmill.Mill(**sim.settings, data_dir=tmp_path, top=5)
    mill.run_snapshot()
    mill.backfill(days=7, coins=["bitcoin", "ethereum"])
    with pytest.warns(coinmill.CoverageWarning):
        prices = mill.prices(["bitcoin", "ethereum"], sim.now - timedelta(days=30))
    frame = coinmill.indicators(prices, sma=(7, 30, 90), rsi=14)
    assert prices.missing
    assert frame.missing == prices.missing
    # points off any grid are no gaps: no warm-up begins anew
    for coin in frame.to_polars().partition_by("coin_id"):
        assert coin["sma_90"].null_count() == 89


def test_holes_stay_holes_and_long_ones_begin_anew() -> None:
    prices: list[float | None] = [float(price) for price in series(200, 100.0, 0.01)]
    prices[50] = None
    prices[60] = math.nan
    prices[120:122] = [None, None]
    rows = coinmill.indicators(table(prices)).to_polars()
    priced = [name for name in rows.columns[3:] if not name.endswith(("_sin", "_cos"))]
    for hole in (50, 60, 120, 121):
        assert {rows.row(hole, named=True)[name] for name in priced} == {None}
    assert rows["hour_sin"].null_count() == 0
    # one hole is two steps: the windows go on, and a return leads over it
    assert rows["simple_return"][51] == pytest.approx(prices[51] / prices[49] - 1)  # type: ignore[operator]
    assert rows["sma_7"][51] == pytest.approx(statistics.mean(price for price in prices[44:52] if price is not None))
    # two are three: all that comes after is as it would be alone
    after = coinmill.indicators(table(prices).slice(122)).to_polars()
    assert rows[122:].equals(after)
    whole = coinmill.indicators(table(prices), max_gap=None).to_polars()
    assert whole["sma_7"][122] is not None
    assert coinmill.indicators(table(prices), max_gap=3).to_polars().equals(whole)
    assert coinmill.indicators(table(prices), max_gap=timedelta(hours=3)).to_polars().equals(whole)
    strict = coinmill.indicators(table(prices), max_gap=timedelta(hours=1)).to_polars()
    assert strict["simple_return"][51] is None


def test_missing_rows_are_as_good_as_rows_without_a_price() -> None:
    prices: list[float | None] = [float(price) for price in series(200, 100.0, 0.01)]
    for hole in (40, 77, 78, 79, 130):
        prices[hole] = None
    rows = table(prices)
    with_holes = coinmill.indicators(rows).to_polars().filter(polars.col("price").is_not_null())
    without = coinmill.indicators(rows.filter(pyarrow.compute.is_valid(rows["price"]))).to_polars()
    assert with_holes.equals(without)


def test_empty_tables_and_columns_without_any_price_give_empty_columns() -> None:
    for empty in (table([]), table([]).to_pandas(), pyarrow.schema(table([]).schema).empty_table()):
        if isinstance(empty, pandas.DataFrame):
            empty = empty.astype({"coin_id": "string"})
        assert len(coinmill.indicators(empty)) == 0
        assert "rsi_14" in coinmill.indicators(empty).columns
    nulls = table([None] * 10)
    frame = coinmill.indicators(nulls.set_column(2, "price", pyarrow.nulls(10))).to_arrow()
    assert frame["sma_7"].null_count == 10
    assert frame["hour_cos"].null_count == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda t: pyarrow.concat_tables([t, t.slice(19)]),
            "bitcoin has 2026-01-05T19:00:00.000Z twice",
        ),
        (
            lambda t: t.sort_by([("ts", "descending")]),
            "bitcoin has 2026-01-05T18:00:00.000Z after 2026-01-05T19:00:00.000Z: sort",
        ),
        (
            lambda t: pyarrow.concat_tables([t, t]).drop_columns("coin_id"),
            "name their column by coin=",
        ),
        (lambda t: t.drop_columns("ts"), "no column ts: name it by time=; it has coin_id, price"),
        (lambda t: t.drop_columns("price"), "no column price or close: name it by value=; it has coin_id, ts"),
        (
            lambda t: t.set_column(2, "price", t["price"].cast(pyarrow.string())),
            "price is Utf8, and has to be a number",
        ),
        (lambda t: t.set_column(1, "ts", t["ts"].cast(pyarrow.int64())), "ts is Int64, and has to be a timestamp"),
        (lambda t: t.set_column(0, "coin_id", t["price"]), "coin_id is Float64, and has to be a text"),
        (lambda t: t.set_column(0, "coin_id", pyarrow.array([None] * 20, pyarrow.string())), "coin_id has nulls"),
        (lambda t: t.set_column(1, "ts", pyarrow.nulls(20, pyarrow.timestamp("ms"))), "ts has nulls"),
        (lambda t: t.append_column("sma_7", t["price"]), "has a column sma_7 already"),
    ],
)
def test_tables_that_cannot_be_right_are_refused_in_words(
    change: Callable[[pyarrow.Table], object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        coinmill.indicators(change(table(series(20, 100.0, 0.01))))


@pytest.mark.parametrize(
    ("keywords", "error", "message"),
    [
        ({"sma": 0}, ValueError, "sma needs lengths from 1 to 100000 points, not 0"),
        ({"ema": (7, -1)}, ValueError, "not -1"),
        ({"sma": (7, 7)}, ValueError, "7 twice"),
        ({"macd": (26, 12, 9)}, ValueError, "fast below slow"),
        ({"bollinger": (20, 0)}, ValueError, "deviations above 0"),
        ({"trend": (30, 7, 0.01)}, ValueError, "short below long"),
        ({"max_gap": 1}, ValueError, "above 1"),
        ({"max_gap": timedelta(0)}, ValueError, "above 0"),
        ({"rsi": 14.5}, TypeError, "rsi is a number of points, such as 14, or None, not 14.5"),
        ({"rsi": True}, TypeError, "not True"),
        ({"sma": "7"}, TypeError, "sma is a number of points or several"),
        ({"macd": (12, 26)}, TypeError, "macd is .fast, slow, signal."),
        ({"returns": 1}, TypeError, "returns is True or False"),
        ({"max_gap": "1h"}, TypeError, "a timedelta"),
        ({"smas": 7}, TypeError, "unexpected keyword argument 'smas'"),
    ],
)
def test_parameters_that_make_no_sense_are_refused_in_words(
    keywords: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        coinmill.indicators(table([1.0]), **keywords)
    with pytest.raises(error, match=message):
        coinmill.Indicators(**keywords)


def test_what_is_no_table_is_refused_in_words() -> None:
    wrongs: list[object] = [[1.0, 2.0], None, {"ts": 1}, "prices", polars.Series([1.0])]
    for wrong in wrongs:
        with pytest.raises(TypeError, match=r"needs a coinmill.Frame or another table"):
            coinmill.indicators(wrong)
    with pytest.raises(ValueError, match="no column symbol; it has coin_id"):
        coinmill.indicators(table([1.0]), coin="symbol")


steps = st.one_of(st.integers(1, 10), st.integers(1, 10_000)).map(lambda minutes: timedelta(minutes=minutes))
prices = st.one_of(st.none(), st.just(1.0), st.floats(allow_nan=True), st.floats(1e-12, 1e6))
lengths = st.integers(1, 12)
choices = st.fixed_dictionaries(
    {},
    optional={
        "sma": st.lists(lengths, unique=True, max_size=3),
        "ema": st.lists(lengths, unique=True, max_size=3),
        "rsi": st.none() | lengths,
        "macd": st.none() | st.tuples(lengths, st.integers(13, 20), lengths),
        "bollinger": st.none() | st.tuples(lengths, st.floats(0.1, 5)),
        "volatility": st.none() | lengths,
        "support": st.none() | lengths,
        "trend": st.none() | st.tuples(lengths, st.integers(13, 20), st.floats(0, 0.5)),
        "returns": st.booleans(),
        "cyclical": st.booleans(),
        "max_gap": st.none() | st.floats(1.5, 5) | steps,
    },
)


@settings(deadline=None, max_examples=150)
@given(
    st.lists(st.tuples(st.sampled_from("ab"), steps, prices), max_size=80),
    choices,
    st.lists(st.integers(0, 80), max_size=3),
    st.sampled_from([pyarrow.string(), pyarrow.large_string(), pyarrow.dictionary(pyarrow.int8(), pyarrow.string())]),
)
def test_a_table_gives_what_its_points_give_one_by_one(
    points: list[tuple[str, timedelta, float | None]], chosen: dict[str, Any], cuts: list[int], text: pyarrow.DataType
) -> None:
    coins = {"a": coinmill.Indicators(**chosen), "b": coinmill.Indicators(**chosen)}
    stamp, stamps, pushed = START, [], []
    for coin, step, price in points:
        stamp += step
        stamps.append(stamp)
        pushed.append(coins[coin].push(stamp, price))
    rows = {
        "coin_id": pyarrow.array([coin for coin, _, _ in points], pyarrow.string()).cast(text),
        "ts": pyarrow.array(stamps, pyarrow.timestamp("us", "UTC")),
        "price": pyarrow.array([price for _, _, price in points], pyarrow.float64()),
    }
    whole = pyarrow.table(rows)
    bounds = [0, *sorted(min(cut, len(points)) for cut in cuts), len(points)]
    parts = [whole.slice(begin, end - begin) for begin, end in itertools.pairwise(bounds)]
    frame = coinmill.indicators(pyarrow.concat_tables(parts), **chosen)
    names = coins["a"].columns
    assert frame.columns[3:] == names
    assert frame.to_arrow().select(names).to_pylist() == pushed


def test_points_are_taken_one_by_one() -> None:
    bitcoin = coinmill.Indicators(sma=3, ema=(), macd=None, bollinger=None, trend=(1, 2, 0.0), cyclical=False)
    assert repr(bitcoin).startswith("Indicators(simple_return, log_return, sma_3, rsi_14")
    for hour, price in enumerate([1.0, 2.0]):
        assert bitcoin.push(f"2026-01-05T0{hour}:00Z", price)["sma_3"] is None
    values = bitcoin.push(datetime(2026, 1, 5, 2), 6.0)
    assert (values["sma_3"], values["trend"], values["simple_return"]) == (3.0, 1, 2.0)
    assert isinstance(values["trend"], int)
    with pytest.raises(ValueError, match=r"2026-01-05T02:00:00.000Z is not after the last point, 2026-01-05T02:00"):
        bitcoin.push(pandas.Timestamp("2026-01-05T03:00", tz="Europe/Paris"), 7.0)
    with pytest.raises(TypeError, match="ts is a datetime"):
        bitcoin.push(3.0, 7.0)  # type: ignore[arg-type]
    assert bitcoin.push(START + 3 * HOUR, None)["sma_3"] is None
    assert bitcoin.push(START + 4 * HOUR, 7.0)["sma_3"] == 5.0


@pytest.mark.parametrize("again", [lambda it: pickle.loads(pickle.dumps(it)), copy.copy, copy.deepcopy])
@pytest.mark.parametrize("max_gap", [2.5, timedelta(hours=1, microseconds=1), None])
def test_a_pickle_and_a_copy_go_on_to_the_bit(
    again: Callable[[coinmill.Indicators], coinmill.Indicators], max_gap: float | timedelta | None
) -> None:
    prices = [None if i in (40, 90) else float(price) for i, price in enumerate(series(150, *SCALES["stablecoin"]))]
    bitcoin = coinmill.Indicators(sma=iter([3, 7]), ema=5, rsi=None, trend=(2, 9, 0.0), max_gap=max_gap)  # type: ignore[arg-type]
    for hour, price in enumerate(prices):
        if hour % 30 == 0:
            copied = again(bitcoin)
            assert (repr(copied), copied.columns) == (repr(bitcoin), bitcoin.columns)
        ts = START + hour * HOUR + (hour > 100) * timedelta(days=1)
        assert repr(copied.push(ts, price)) == repr(bitcoin.push(ts, price))
    with pytest.raises(ValueError, match="is not after the last point"):
        again(bitcoin).push(START, 1.0)


def test_a_pickle_of_another_version_is_refused() -> None:
    reduced: Any = coinmill.Indicators().__reduce__()
    restore, (version, chosen, state) = reduced
    assert version == coinmill.__version__
    with pytest.raises(
        coinmill.DataError, match=rf"pickled by coinmill 0\.0\.9, and this is {version}: push their points"
    ):
        restore("0.0.9", chosen, state)
    with pytest.raises(coinmill.DataError, match="push their points again"):
        restore(version, chosen, state[8:])
