"""Frames: what the database holds, in the hands of the libraries that people use."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path

import duckdb
import pandas
import polars
import pyarrow
import pyarrow.parquet
import pytest

import coinmill

COINS = ["bitcoin", "ethereum"]


def rows(query: str, **frames: coinmill.Frame) -> list[tuple[object, ...]]:
    """What duckdb makes of a query over frames and files."""
    with duckdb.connect() as connection:
        for name, frame in frames.items():
            connection.register(name, frame)
        found: list[tuple[object, ...]] = connection.execute(query).fetchall()
        return found


@pytest.fixture
def filled(sim: coinmill.Sim, tmp_path: Path) -> coinmill.Mill:
    """A mill with a snapshot of 20 coins and a week of two coins, in SQLite files in the test's folder."""
    mill = coinmill.Mill(**sim.settings, data_dir=tmp_path, top=20)
    mill.run_snapshot()
    mill.backfill(days=7, coins=COINS)
    return mill


def test_quotes_are_every_number_of_the_database(filled: coinmill.Mill, tmp_path: Path) -> None:
    frame = filled.quotes()
    assert len(frame) == 20
    table = pyarrow.table(frame)
    assert table.column_names == frame.columns
    stored = sqlite3.connect(tmp_path / "snapshot.db")
    query = (
        "select c.id, q.current_price, q.ath_date, h.dominance_pct from quote q"
        " join coin c on c.key = q.coin join v_price_history h on h.coin_id = c.id"
    )
    rows = {row[0]: row[1:] for row in stored.execute(query)}
    for row in table.to_pylist():
        price, ath_date, dominance = rows[row["coin_id"]]
        assert (row["current_price"], row["dominance_pct"]) == (price, dominance)
        assert row["ath_date"].timestamp() * 1000 == ath_date
    caps = [row["market_cap"] for row in table.to_pylist()]
    assert caps == sorted(caps, reverse=True)


def test_polars_pandas_and_duckdb_read_the_same_prices(filled: coinmill.Mill) -> None:
    frame = filled.prices(COINS)
    from_polars = polars.DataFrame(frame)
    assert from_polars.shape == (len(frame), 5)
    assert frame.to_polars().equals(from_polars)
    from_pandas = frame.to_pandas()
    assert isinstance(from_pandas, pandas.DataFrame)
    assert from_pandas["price"].tolist() == from_polars["price"].to_list()
    counted = rows("select coin_id, count(*) from prices group by 1 order by 1", prices=frame)
    assert counted == [(coin, len(filled.prices([coin]))) for coin in COINS]
    assert str(from_polars["ts"].dtype) == "Datetime(time_unit='ms', time_zone='UTC')"


def test_prices_are_cut_to_the_span_and_the_coins_asked_for(filled: coinmill.Mill, sim: coinmill.Sim) -> None:
    day = (sim.now - timedelta(days=2)).date()
    cut = filled.prices(["bitcoin"], day, day + timedelta(days=1)).to_polars()
    assert set(cut["coin_id"].to_list()) == {"bitcoin"}
    assert {stamp.date() for stamp in cut["ts"].to_list()} == {day}
    assert 20 <= len(cut) <= 24
    with pytest.raises(coinmill.DataError, match="nothing is stored at 1d"):
        filled.prices(resolution="1d")
    with pytest.raises(ValueError, match="5m, 1h or 1d"):
        filled.prices(resolution="1 hour")  # type: ignore[arg-type]


def test_prices_can_be_read_as_they_were_known(filled: coinmill.Mill, sim: coinmill.Sim) -> None:
    first = sim.now
    known = len(filled.prices())
    sim.advance(7200)
    filled.backfill(days=8, coins=COINS)
    assert len(filled.prices()) > known
    assert len(filled.prices(as_of=first)) == known
    with pytest.raises(coinmill.DataError, match="nothing was stored"):
        filled.prices(as_of=first - timedelta(days=1))


def test_quotes_can_be_read_as_of_a_slot(filled: coinmill.Mill, sim: coinmill.Sim) -> None:
    first = sim.now
    sim.advance(1800)
    filled.run_snapshot()
    slots = {frame.to_arrow()["snapshot_time"][0].as_py() for frame in (filled.quotes(), filled.quotes(first))}
    assert max(slots) - min(slots) == timedelta(minutes=30)
    with pytest.raises(coinmill.DataError, match="no snapshot at or before"):
        filled.quotes(datetime(2020, 1, 1, tzinfo=timezone.utc))


def test_quotes_can_be_read_as_they_were_known(filled: coinmill.Mill, sim: coinmill.Sim) -> None:
    first = sim.now
    slot = filled.quotes().to_arrow()["snapshot_time"][0].as_py()
    sim.advance(60)
    filled.run_snapshot(slot)
    sim.advance(1800)
    filled.run_snapshot()
    known = filled.quotes(as_of=first)
    assert (len(known), known.to_arrow()["snapshot_time"][0].as_py(), known.missing) == (20, slot, [])
    assert filled.quotes(sim.now, as_of=first).to_arrow()["snapshot_time"][0].as_py() == slot
    assert filled.quotes(as_of=sim.now).to_arrow()["snapshot_time"][0].as_py() > slot
    with pytest.raises(coinmill.DataError, match="nothing was stored by 2020-01-01T00:00:00Z"):
        filled.quotes(as_of="2020-01-01")
    with pytest.raises(ValueError, match=r"is neither a time .* nor a pin"):
        filled.quotes(as_of="yesterday")
    with pytest.raises(TypeError):
        filled.quotes(None, first)  # type: ignore[call-arg]


def test_a_pin_reads_the_same_rows_for_ever(filled: coinmill.Mill, sim: coinmill.Sim, tmp_path: Path) -> None:
    pin = filled.pin()
    quotes, prices, candles = filled.quotes(), filled.prices(COINS), filled.candles(COINS)
    sim.advance(1800)
    filled.run_snapshot()
    filled.backfill(days=9, coins=COINS)
    assert len(filled.prices(COINS)) > len(prices)
    # in another process, from a notebook's text
    said = subprocess.run(
        [sys.executable, "-m", "coinmill", "pin", "--as-of", sim.now.isoformat()],
        env={"COINMILL_DATA_DIR": str(tmp_path), **{f"COINMILL_{k.upper()}": str(v) for k, v in sim.settings.items()}},
        capture_output=True,
        text=True,
        check=True,
    )
    assert re.fullmatch(r"s\d+-[0-9a-f]{8}/t\d+-[0-9a-f]{8}@[-0-9]{10}T[0-9:.]{12}Z\n", said.stdout), said.stdout
    for read, before in [
        (filled.quotes(as_of=pin), quotes),
        (filled.quotes(as_of=quotes.pin), quotes),
        (filled.prices(COINS, as_of=pin), prices),
        (filled.prices(COINS, as_of=prices.pin), prices),
        (filled.candles(COINS, as_of=pin), candles),
    ]:
        assert read.to_arrow().equals(before.to_arrow())
        assert [(it["what"], it["start"]) for it in read.missing] == [
            (it["what"], it["start"]) for it in before.missing
        ]
    # rows out of a frame are of the same pin, and sums of gaps are of none
    assert prices[:3].pin == prices.pin
    assert filled.gaps().pin is None
    for wrong in ("pin@", "s1-2@2026-01-14T12:00:00.000Z"):
        with pytest.raises(ValueError, match="is no pin: write it as"):
            filled.prices(as_of=wrong)
    pinned: list[Callable[[], object]] = [
        lambda: filled.quotes(pin),
        lambda: filled.quotes(start=pin),
        lambda: filled.prices("bitcoin", pin),
        lambda: filled.candles("bitcoin", end=pin),
        lambda: filled.universe(at=pin),
    ]
    for call in pinned:
        with pytest.raises(ValueError, match=r"looks like a pin, which goes into as_of="):
            call()
    with pytest.raises(TypeError, match="or a pin"):
        filled.prices(as_of=5)  # type: ignore[arg-type]
    other = coinmill.Mill(**sim.settings, data_dir=tmp_path / "other", top=20)
    other.run_snapshot()
    with pytest.raises(coinmill.DataError, match="is of another snapshot database"):
        other.quotes(as_of=pin)


def test_a_frame_shows_itself_and_escapes_what_comes_from_outside(filled: coinmill.Mill) -> None:
    frame = filled.quotes()
    assert repr(frame).endswith("… 10 more rows; 20 rows \N{MULTIPLICATION SIGN} 42 columns")
    html = frame._repr_html_()
    assert html.count("<tr>") == 11
    assert "<script" not in html
    assert "20 rows" in html


def test_an_export_is_the_processed_layer_in_dated_folders(
    filled: coinmill.Mill, sim: coinmill.Sim, tmp_path: Path
) -> None:
    target = tmp_path / "lake"
    command = [sys.executable, "-m", "coinmill", "export", "--to", str(target), "--data-dir", str(tmp_path)]
    for _ in range(2):
        subprocess.run(command, check=True, capture_output=True)
    quotes = pyarrow.parquet.read_table(
        target / "quotes" / f"date={sim.now.date()}" / "quotes.parquet", partitioning=None
    )
    assert quotes.equals(pyarrow.table(filled.quotes()))
    assert rows(f"select count(*) from '{target}/prices/resolution=1h/*/prices.parquet'") == [(len(filled.prices()),)]
    assert not list(target.rglob("*.part"))


def test_a_stream_is_the_same_rows_frame_by_frame_under_one_pin(
    filled: coinmill.Mill, sim: coinmill.Sim, tmp_path: Path
) -> None:
    filled.backfill(days=7, coins=["tether", "ripple"])
    whole = filled.prices()
    stream = filled.prices_stream()
    # what is stored while it is read is in none of its frames
    sim.advance(7200)
    filled.backfill(days=9, coins=COINS)
    frames = list(stream)
    assert {frame.pin for frame in frames} == {stream.pin}
    assert pyarrow.concat_tables([frame.to_arrow() for frame in frames]).unify_dictionaries().to_pylist() == list(whole)
    assert list(stream) == []
    for _ in range(3):
        sim.advance(86_400)
        filled.run_snapshot()
    with pytest.warns(coinmill.CoverageWarning, match="half-hours have no snapshot"):
        quotes = filled.quotes(end=sim.now + timedelta(hours=1))
    with pytest.warns(coinmill.CoverageWarning, match="half-hours have no snapshot"):
        days = list(filled.quotes_stream())
    assert len(days) == 4
    assert [row for day in days for row in day] == list(quotes)
    # a span that ends later than now is read up to now, and threads that share a stream get each frame once
    stream = filled.quotes_stream(end=sim.now + timedelta(days=9))
    with ThreadPoolExecutor(3) as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore", coinmill.CoverageWarning)
        shared = [frame for frames in pool.map(lambda _: list(stream), range(3)) for frame in frames]
    assert sorted(row["snapshot_time"] for frame in shared for row in frame) == quotes["snapshot_time"]


def test_a_stream_is_a_table_for_arrow(filled: coinmill.Mill) -> None:
    whole = filled.prices()
    reader = pyarrow.RecordBatchReader.from_stream(filled.prices_stream())
    assert reader.schema.names == whole.columns
    with duckdb.connect() as connection:
        connection.register("prices", reader)
        (counted,) = connection.execute("select count(*), sum(price) from prices").fetchall()
    assert counted[0] == len(whole)
    assert polars.DataFrame(filled.prices_stream()).equals(whole.to_polars())
    stream = filled.prices_stream()
    with pytest.raises(coinmill.DataError, match="no prices of no-such-coin"):
        filled.prices_stream("no-such-coin")
    assert len(list(stream)) == 1
    with pytest.raises(ValueError, match="start must be before end"):
        filled.quotes_stream("2026-01-02", "2026-01-01")
