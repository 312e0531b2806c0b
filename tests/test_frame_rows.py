"""A frame in the hands of somebody who has nothing but coinmill: rows, slices, a print, a grid, returns."""

from __future__ import annotations

import math
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import polars
import pyarrow
import pytest

import coinmill
from coinmill.records import Gap, GapsTotal, Quarantined, Revision, Run


@pytest.fixture
def filled(sim: coinmill.Sim, tmp_path: Path) -> coinmill.Mill:
    """A mill with a snapshot of 20 coins and two days of two coins."""
    mill = coinmill.Mill(**sim.settings, data_dir=tmp_path, top=20)
    mill.run_snapshot()
    mill.backfill(days=2, coins="bitcoin,ethereum")
    return mill


def test_a_frame_is_a_sequence_of_plain_dicts(filled: coinmill.Mill) -> None:
    frame = filled.prices()
    rows = frame.to_dicts()
    assert (len(rows), 5) == frame.shape
    assert list(frame) == rows
    assert (frame[0], frame[-1], frame[len(frame) - 1]) == (rows[0], rows[-1], rows[-1])
    assert rows == pyarrow.table(frame).to_pylist()
    assert type(rows[0]) is dict
    assert rows[0]["ts"].tzinfo is timezone.utc
    assert frame["price"] == [row["price"] for row in rows]
    for part in (
        slice(3, 7),
        slice(-4, None),
        slice(None, None, -1),
        slice(90, 2, -7),
        slice(5, 5),
        slice(-1000, 1000),
    ):
        assert frame[part].to_dicts() == rows[part], part
    assert frame.head(3).to_dicts() == rows[:3]
    assert frame.head(-3).to_dicts() == rows[:-3]
    assert frame.tail(3).to_dicts() == rows[-3:]
    assert frame.tail(0).to_dicts() == frame.head(-1000).to_dicts() == []
    assert len(frame.head()) == 10
    for row in (len(frame), -len(frame) - 1):
        with pytest.raises(IndexError, match="rows"):
            frame[row]
    with pytest.raises(TypeError, match="a row's place"):
        frame[1.5]  # type: ignore[call-overload]
    with pytest.raises(ValueError, match='there is no column "cost": there are coin_id'):
        frame["cost"]


def test_columns_are_chosen_and_have_plain_types(filled: coinmill.Mill) -> None:
    frame = filled.prices("bitcoin")
    assert frame.schema == {
        "coin_id": "text",
        "ts": "timestamp[ms, UTC]",
        "price": "float64",
        "market_cap": "float64",
        "volume": "float64",
    }
    assert list(frame.schema) == frame.columns
    chosen = frame.select(["price", "ts"])
    assert chosen.to_dicts() == [{"price": row["price"], "ts": row["ts"]} for row in frame]
    assert polars.DataFrame(chosen[10:20]).shape == (10, 2)
    assert pyarrow.schema(frame).field("ts").type == pyarrow.timestamp("ms", "UTC")
    with pytest.raises(ValueError, match="there is no column"):
        frame.select(["cost"])


def test_a_print_fits_the_terminal(filled: coinmill.Mill, monkeypatch: pytest.MonkeyPatch) -> None:
    for width in (60, 80, 200):
        monkeypatch.setenv("COLUMNS", str(width))
        for frame in (filled.quotes(), filled.prices(), filled.runs(), filled.gaps(), filled.quarantine()):
            lines = repr(frame).splitlines()
            assert max(map(len, lines)) <= width
            assert lines[1].startswith(f"│ {frame.columns[0]} ")
    monkeypatch.setenv("COLUMNS", "80")
    shown = repr(filled.prices())
    assert all(f" {name} " in shown.splitlines()[1] for name in filled.prices().columns)
    assert "… 86 more rows; 96 rows \N{MULTIPLICATION SIGN} 5 columns" in shown
    assert "more rows" not in repr(filled.prices()[:10])
    # what people look at first is there, though it is not among the first columns
    assert {"coin_id", "current_price"} <= set(repr(filled.quotes()).splitlines()[1].split())
    assert {"ts", "open", "high", "close"} <= set(repr(filled.candles("bitcoin", every="1d")).splitlines()[1].split())


def test_values_of_other_libraries_are_shown_and_read(filled: coinmill.Mill) -> None:
    ours = filled.prices("bitcoin")
    table = ours.to_polars().with_columns(polars.col("ts").dt.cast_time_unit("us") + polars.duration(microseconds=7))
    for foreign in (table, table.to_pandas(), table.with_columns(polars.col("ts").dt.cast_time_unit("ns"))):
        frame = coinmill.indicators(foreign, cyclical=False)
        assert frame["coin_id"] == ["bitcoin"] * len(ours)
        assert frame["ts"] == [stamp + timedelta(microseconds=7) for stamp in ours["ts"]]
        assert "null" not in repr(frame.select(["coin_id", "ts", "price"]))
        assert frame.wide(every="1h").shape == ours.wide(every="1h").shape
    money = coinmill.indicators(table.with_columns(polars.col("price").cast(polars.Decimal(20, 2)).alias("money")))
    assert money[0]["money"] == f"{ours[0]['price']:.2f}"


def test_records_are_frames_with_just_the_columns_that_their_types_say(
    filled: coinmill.Mill, sim: coinmill.Sim, tmp_path: Path
) -> None:
    strict = coinmill.Mill(
        **sim.settings, data_dir=tmp_path, top=200, completeness=0.0, refuse=["low_volume"], min_volume=1e7
    )
    strict.run_snapshot()
    runs, gaps, refused, revisions = strict.runs(), strict.gaps(), strict.quarantine(), strict.revisions()
    totals = gaps.totals
    assert totals is not None
    for frame, record in (
        (runs, Run),
        (gaps, Gap),
        (totals, GapsTotal),
        (refused, Quarantined),
        (revisions, Revision),
    ):
        assert set(frame.columns) == set(record.__annotations__)
    assert len(refused) > 0
    assert [run["kind"] for run in runs] == ["snapshot", "backfill", "snapshot"]
    assert runs[0]["started_at"] == sim.now.replace(microsecond=sim.now.microsecond // 1000 * 1000)
    assert (runs.totals, runs.missing) == (None, [])
    assert [row["coin_id"] for row in totals] == [None, "bitcoin", "ethereum"]
    assert totals[0]["owed_hours"] == pytest.approx(totals[1]["owed_hours"] + totals[2]["owed_hours"])
    with pytest.raises(coinmill.DataError, match="btc is the symbol of bitcoin: give the id"):
        strict.revisions("btc")
    with pytest.raises(ValueError, match="start has to be before its end"):
        strict.revisions(start="2026-02-01", end="2026-01-01")


def test_prices_stand_side_by_side_on_a_grid(filled: coinmill.Mill) -> None:
    frame = filled.prices()
    exact = frame.wide()
    assert exact.columns == ["ts", "bitcoin", "ethereum"]
    assert len(exact) == len({row["ts"] for row in frame})
    assert sum(value is not None for row in exact for value in (row["bitcoin"], row["ethereum"])) == len(frame)
    hour = timedelta(hours=1)
    for row in frame.wide(every="1h"):
        assert row["ts"].minute == row["ts"].second == 0
        for coin in ("bitcoin", "ethereum"):
            known = [it for it in frame if it["coin_id"] == coin and row["ts"] - hour < it["ts"] <= row["ts"]]
            assert row[coin] == (known[-1]["price"] if known else None)
    assert filled.quotes().wide("current_price").shape == (1, 21)
    with pytest.raises(ValueError, match="no length of time"):
        frame.wide(every="1 hour")
    with pytest.raises(ValueError, match="no column coin_id"):
        filled.runs().wide("score")


def test_returns_are_those_of_the_prices(filled: coinmill.Mill) -> None:
    frame = filled.prices()
    log = frame.returns("log")
    assert log.columns == ["coin_id", "ts", "log_return"]
    for before, row, found in zip([None, *frame], frame, log, strict=False):
        if before is None or before["coin_id"] != row["coin_id"]:
            assert found["log_return"] is None
        else:
            assert found["log_return"] == pytest.approx(math.log(row["price"] / before["price"]))
    assert log.wide("log_return", every="1d").columns == ["ts", "bitcoin", "ethereum"]
    assert all(value is None for value in frame.returns(step="5m")["simple_return"])
    with pytest.raises(ValueError, match="simple or log"):
        frame.returns("daily")  # type: ignore[arg-type]


def test_quotes_of_a_span_say_which_half_hours_are_not_there(filled: coinmill.Mill, sim: coinmill.Sim) -> None:
    first = filled.quotes()[0]["snapshot_time"]
    half_hour = timedelta(minutes=30)
    sim.advance(1800)
    filled.run_snapshot()
    sim.advance(3 * 1800)
    filled.run_snapshot()
    with pytest.warns(coinmill.CoverageWarning, match="2 half-hours have no snapshot: see frame.missing"):
        frame = filled.quotes(start=first)
    assert sorted(set(frame["snapshot_time"])) == [first, first + half_hour, first + 4 * half_hour]
    assert frame["snapshot_time"] == sorted(frame["snapshot_time"])
    (missing,) = frame.missing
    assert (missing["coin_id"], missing["what"], missing["reason"]) == (None, "quotes", "no snapshot was taken")
    assert datetime.fromisoformat(missing["start"].replace("Z", "+00:00")) == first + 2 * half_hour
    assert datetime.fromisoformat(missing["end"].replace("Z", "+00:00")) == first + 4 * half_hour

    two = filled.quotes(start=first, end=first + 2 * half_hour, coins=["bitcoin", "ethereum"])
    assert (len(two), two.missing) == (4, [])
    assert len(filled.quotes(end=first + half_hour, coins="bitcoin")) == 1
    assert len(filled.quotes(coins="bitcoin")) == 1
    assert len(filled.quotes(end=first + half_hour, as_of=sim.now)) == 20

    narrow = coinmill.Mill(**sim.settings, data_dir=Path(filled.status()["landing_dir"]).parent, top=5)
    sim.advance(1800)
    narrow.run_snapshot()
    other = filled.quotes(first)[19]["coin_id"]
    lacking = narrow.quotes(coins=other)
    assert (len(lacking), lacking.missing[0]["reason"]) == (0, "not among the coins of this snapshot")

    for wrong, says in (
        ({"at": first, "start": first}, "not both"),
        ({"start": first, "end": first}, "start must be before end"),
        ({"start": sim.now + timedelta(days=1)}, "still to come"),
    ):
        with pytest.raises(ValueError, match=says):
            filled.quotes(**wrong)
    with pytest.raises(coinmill.DataError, match="no quote of btc"):
        filled.quotes(coins="btc")
    with pytest.warns(coinmill.CoverageWarning):
        empty = filled.quotes(start="2020-01-01", end="2020-01-02")
    assert (len(empty), len(empty.missing)) == (0, 1)


def test_a_library_that_is_not_there_is_named_with_its_extra(
    filled: coinmill.Mill, monkeypatch: pytest.MonkeyPatch
) -> None:
    import builtins

    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.split(".")[0] in ("polars", "pandas", "pyarrow"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *rest)

    frame = filled.prices()
    monkeypatch.setattr(builtins, "__import__", without)
    for method, extra in ((frame.to_polars, "polars"), (frame.to_pandas, "pandas"), (frame.to_arrow, "arrow")):
        with pytest.raises(ImportError, match=rf"pip install 'coinmill\[{extra}\]'"):
            method()
