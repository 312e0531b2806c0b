"""Charts: what is drawn is what is there, and what is not there is a gap."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import matplotlib
import pytest
from matplotlib import pyplot

import coinmill
from coinmill import plot

matplotlib.use("Agg")

DAY = datetime(2026, 1, 1, tzinfo=timezone.utc)


class Rows:
    """As much of a frame as a chart reads."""

    def __init__(self, schema: dict[str, str], rows: list[tuple[Any, ...]]) -> None:
        self.schema, self.rows = schema, rows
        self.columns = list(schema)

    def __getitem__(self, name: str) -> list[Any]:
        place = self.columns.index(name)
        return [row[place] for row in self.rows]

    def __len__(self) -> int:
        return len(self.rows)


PRICES = {"coin_id": "text", "ts": "timestamp[ms, UTC]", "price": "float64"}
CANDLES = {
    "coin_id": "text",
    "ts": "timestamp[ms, UTC]",
    **dict.fromkeys(plot.CANDLE, "float64"),
    "points": "int64",
    "is_partial": "bool",
}


def drawn(frame: Any, value: str | None = None, kind: str | None = None, log: bool = False) -> Any:
    axes = plot.plot(frame, value, kind, log, None)
    pyplot.close(axes.figure)
    return axes


def test_a_hole_is_a_gap_and_a_null_too() -> None:
    hours: list[tuple[int, float | None]] = [(0, 1.0), (1, 2.0), (2, None), (3, 4.0), (4, 3.0), (9, 5.0)]
    axes = drawn(Rows(PRICES, [("bitcoin", DAY + timedelta(hours=hour), price) for hour, price in hours]))
    line, alone = axes.get_lines()
    assert [None if math.isnan(y) else y for y in line.get_ydata()] == [1.0, 2.0, None, 4.0, 3.0, None, 5.0]
    assert list(alone.get_ydata()) == [5.0]
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_title(loc="left")) == ("UTC", "price", "bitcoin")


def test_each_coin_has_a_line_and_tiny_prices_keep_their_digits(sim: coinmill.Sim, tmp_path: Path) -> None:
    mill = coinmill.Mill(**sim.settings, data_dir=tmp_path, top=5)
    mill.backfill(days=1, coins="bitcoin,ethereum")
    frame = mill.prices()
    axes = frame.plot(log=True)
    assert [line.get_label() for line in axes.get_lines()] == ["bitcoin", "ethereum"]
    assert sum(len(line.get_ydata()) for line in axes.get_lines()) == len(frame)
    assert axes.get_yscale() == "log"
    written = axes.yaxis.get_major_formatter()
    assert written(2.839e-9, 0) == "2.839e-09"
    assert written(84213.5, 0) == "84,213.5"
    assert frame.plot("volume", ax=axes) is axes
    assert frame.returns().plot().get_ylabel() == "simple_return"
    pyplot.close("all")
    calls: list[tuple[Callable[[], Any], str]] = [
        (lambda: frame.plot("cost"), "no column of numbers 'cost': there are price, market_cap, volume"),
        (lambda: frame.plot(kind="bar"), "a line or a candle"),  # type: ignore[arg-type]
        (lambda: frame.plot(kind="candle"), "mill.candles"),
        (lambda: mill.runs().plot(), "no column coin_id"),
    ]
    for wrong, says in calls:
        with pytest.raises(ValueError, match=says):
            wrong()


def test_candles_stand_where_a_frame_has_them() -> None:
    bars = [
        ("bitcoin", DAY, 1.0, 3.0, 0.5, 2.0, 12, False),
        ("bitcoin", DAY + timedelta(days=1), 2.0, 2.5, 1.0, 1.5, 3, True),
    ]
    rows = Rows(CANDLES, [*bars, ("bitcoin", DAY + timedelta(days=2), None, None, None, None, 0, False)])
    axes = drawn(rows)
    assert sorted(patch.get_height() for patch in axes.patches) == [0.5, 1.0]
    low, high = axes.get_ylim()
    assert low == pytest.approx(0.375)
    assert high == pytest.approx(3.125)
    assert len(drawn(rows, kind="line").get_lines()) == 1
    with pytest.raises(ValueError, match="candles are of one coin, and the frame has 2"):
        drawn(Rows(CANDLES, [*bars, ("aave", DAY, 1.0, 1.0, 1.0, 1.0, 1, False)]), kind="candle")
    assert not drawn(Rows(CANDLES, [])).patches


def test_plotly_draws_the_same_where_only_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plot, "find_spec", lambda name: None if name == "matplotlib" else find_spec(name))
    hours: list[tuple[int, float | None]] = [(0, 1.0), (1, 2.0), (2, None), (3, 4.0), (4, 3.0), (9, 5.0)]
    rows = [("bitcoin", DAY + timedelta(hours=hour), price) for hour, price in hours]
    figure: Any = plot.plot(cast(Any, Rows(PRICES, rows)), None, None, True, None)
    (line,) = figure.data
    assert list(line.y) == [1.0, 2.0, None, 4.0, 3.0, None, 5.0]
    assert list(line.marker.size) == [0, 0, 0, 0, 0, 0, 5]
    assert (figure.layout.yaxis.type, figure.layout.title.text, figure.layout.showlegend) == ("log", "bitcoin", False)

    bars = [
        ("bitcoin", DAY, 1.0, 3.0, 0.5, 2.0, 12, False),
        ("bitcoin", DAY + timedelta(days=1), 2.0, 2.5, 1.0, 1.5, 3, True),
    ]
    figure = plot.plot(cast(Any, Rows(CANDLES, bars)), None, None, False, None)
    whole, partial = figure.data
    assert (list(whole.open), list(whole.close), whole.opacity) == ([1.0], [2.0], 1.0)
    assert (list(partial.high), list(partial.low), partial.opacity) == ([2.5], [1.0], 0.4)
    assert figure.to_json()
    assert not plot.plot(cast(Any, Rows(CANDLES, [])), None, None, False, None).data


def test_a_partial_candle_is_paler_and_hides_its_line() -> None:
    axes = drawn(Rows(CANDLES, [("bitcoin", DAY, 1.0, 3.0, 0.5, 2.0, 12, True)]))
    (body,) = axes.patches
    assert body.get_facecolor() == pytest.approx((*plot.paler(plot.UP, "white"), 1.0))


def test_without_a_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plot, "find_spec", lambda _: None)
    with pytest.raises(ImportError, match=r"pip install 'coinmill\[plot\]'"):
        drawn(Rows(PRICES, [("bitcoin", DAY, 1.0)]))
