"""Charts of a frame over time: lines, or candles. ``Frame.plot`` calls it.

It draws with matplotlib, or with plotly where only that is installed, and needs neither to be imported.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta, timezone
from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise
from statistics import median_low
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from coinmill import Frame

TIMES = ("ts", "snapshot_time")
VALUES = ("price", "close", "current_price")
CANDLE = ("open", "high", "low", "close")

# points further apart than this many usual steps have a hole between them, as everywhere in coinmill
HOLE = 2.5

UP, DOWN = "#26a69a", "#ef5350"

# beyond this a legend covers the chart
LEGEND = 20


class Line(NamedTuple):
    """What is drawn of one coin: where a value is NaN, the line has a gap."""

    coin: str
    at: list[datetime]
    values: list[float]


class Bar(NamedTuple):
    """A candle, from `at` on for the usual step."""

    at: datetime
    open: float
    high: float
    low: float
    close: float
    is_partial: bool


def plot(frame: Frame, value: str | None, kind: str | None, log: bool, ax: Any) -> Any:
    """Draws a frame; see ``help(coinmill.Frame.plot)``."""
    if kind not in (None, "line", "candle"):
        raise ValueError(f"a plot is a line or a candle, not {kind!r}")
    time = next((name for name in TIMES if name in frame.columns), None)
    if time is None or "coin_id" not in frame.columns:
        raise ValueError(
            "the frame has no column coin_id, or none of ts and snapshot_time: plot one of prices or quotes"
        )
    has_candles = set(CANDLE) <= set(frame.columns)
    if kind is None:
        is_one_coin = len(set(frame["coin_id"])) == 1
        kind = "candle" if has_candles and value is None and is_one_coin else "line"
    if kind == "candle":
        if not has_candles:
            raise ValueError("the frame has no columns open, high, low and close: candles come from mill.candles(…)")
        coins = set(frame["coin_id"])
        if len(coins) > 1:
            raise ValueError(f"candles are of one coin, and the frame has {len(coins)}: choose one, or kind='line'")
        drawn = bars(frame, time)
        title = next(iter(coins), "")
        return backend(ax).candles(drawn, title, log, ax)
    value = chosen(frame, value)
    return backend(ax).lines(lines(frame, time, value), value, log, ax)


def chosen(frame: Frame, value: str | None) -> str:
    """The column of numbers to draw."""
    numbers = [name for name, kind in frame.schema.items() if kind.startswith(("float", "int", "uint"))]
    if value is None:
        value = next((name for name in VALUES if name in numbers), numbers[0] if len(numbers) == 1 else None)
    if value not in numbers:
        wanted = "say which column to plot" if value is None else f"there is no column of numbers {value!r}"
        raise ValueError(f"{wanted}: there are {', '.join(numbers) or 'none'}")
    return value


def lines(frame: Frame, time: str, value: str) -> list[Line]:
    """A line for each coin, in the order of their ids, with a NaN in the middle of each hole."""
    coins: dict[str, list[tuple[datetime, float]]] = {}
    for coin, at, number in zip(frame["coin_id"], frame[time], frame[value], strict=True):
        coins.setdefault(coin, []).append((at, math.nan if number is None else number))
    for points in coins.values():
        points.sort(key=lambda point: point[0])
    step = usual_step([at for at, _ in points] for points in coins.values())
    return [with_holes(coin, coins[coin], step) for coin in sorted(coins)]


def with_holes(coin: str, points: list[tuple[datetime, float]], step: timedelta | None) -> Line:
    line = Line(coin, [], [])
    for at, number in points:
        if line.at and step and at - line.at[-1] > HOLE * step:
            line.at.append(line.at[-1] + (at - line.at[-1]) / 2)
            line.values.append(math.nan)
        line.at.append(at)
        line.values.append(number)
    return line


def usual_step(stamps: Any) -> timedelta | None:
    """The median time between a coin's points."""
    steps = [after - before for of_coin in stamps for before, after in pairwise(of_coin) if after > before]
    return median_low(steps) if steps else None


def bars(frame: Frame, time: str) -> list[Bar]:
    """The candles in the order of time; one without all its values is a hole."""
    partial = frame["is_partial"] if "is_partial" in frame.columns else [False] * len(frame)
    columns = [frame[name] for name in CANDLE]
    rows = zip(frame[time], *columns, partial, strict=True)
    there = [
        Bar(at, opened, high, low, close, bool(is_partial))
        for at, opened, high, low, close, is_partial in rows
        if None not in (opened, high, low, close)
    ]
    return sorted(there, key=lambda bar: bar.at)


def backend(ax: Any) -> Any:
    """matplotlib where it is installed, or where its axes are given; else plotly."""
    if ax is not None or find_spec("matplotlib"):
        return Matplotlib
    if find_spec("plotly"):
        return Plotly
    raise ImportError("matplotlib is not installed: pip install 'coinmill[plot]'")


class Matplotlib:
    """Draws on axes, new ones where none are given, and returns them."""

    @staticmethod
    def axes(log: bool, ax: Any) -> Any:
        from matplotlib import dates, pyplot, ticker

        if ax is None:
            _, ax = pyplot.subplots(figsize=(10, 5), layout="constrained")
        if log:
            ax.set_yscale("log")
        in_utc: Any = dates
        locator = in_utc.AutoDateLocator(tz=timezone.utc)
        ax.xaxis.set_major_locator(locator)
        ax.xaxis.set_major_formatter(in_utc.ConciseDateFormatter(locator, tz=timezone.utc))
        # a price is never shown as an offset from another, and a tiny one keeps its digits
        ax.yaxis.set_major_formatter(ticker.FuncFormatter(lambda number, _: f"{number:,.7g}"))
        ax.yaxis.set_minor_formatter(ticker.NullFormatter())
        ax.set_xlabel("UTC")
        ax.grid(alpha=0.25)
        ax.spines[["top", "right"]].set_visible(False)
        return ax

    @classmethod
    def lines(cls, drawn: list[Line], value: str, log: bool, ax: Any) -> Any:
        ax = cls.axes(log, ax)
        for line in drawn:
            # a point between two holes has no line, and must be seen all the same
            alone = alone_in(line.values)
            (artist,) = ax.plot(line.at, line.values, label=line.coin, linewidth=1.3)
            if alone:
                ax.plot([line.at[n] for n in alone], [line.values[n] for n in alone], ".", color=artist.get_color())
        ax.set_ylabel(value)
        if len(drawn) == 1:
            ax.set_title(drawn[0].coin, loc="left")
        elif 1 < len(drawn) <= LEGEND:
            # beside the lines, none of which it may cover
            ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
        return ax

    @classmethod
    def candles(cls, drawn: list[Bar], title: str, log: bool, ax: Any) -> Any:
        ax = cls.axes(log, ax)
        step = usual_step([[bar.at for bar in drawn]]) or timedelta(days=1)
        for color, is_up in ((UP, True), (DOWN, False)):
            for is_partial in (False, True):
                some = [bar for bar in drawn if (bar.close >= bar.open) == is_up and bar.is_partial == is_partial]
                if not some:
                    continue
                # paler, and not transparent, so that the line stays behind the body
                shade = paler(color, ax.get_facecolor()) if is_partial else color
                middle = [bar.at + step / 2 for bar in some]
                lows, highs = [bar.low for bar in some], [bar.high for bar in some]
                ax.vlines(middle, lows, highs, color=shade, linewidth=1)
                bottom = [min(bar.open, bar.close) for bar in some]
                height = [abs(bar.close - bar.open) for bar in some]
                ax.bar(middle, height, 0.8 * step, bottom, color=shade, edgecolor=shade, linewidth=1)
        if drawn and not log:
            # bars begin at zero for matplotlib, and prices do not
            low, high = min(bar.low for bar in drawn), max(bar.high for bar in drawn)
            margin = 0.05 * (high - low) or 0.05 * high or 1.0
            ax.set_ylim(low - margin, high + margin)
        ax.set_title(title, loc="left")
        ax.set_ylabel("price")
        return ax


def paler(color: str, background: Any) -> tuple[float, ...]:
    """Two fifths of a colour on a background."""
    from matplotlib.colors import to_rgb

    return tuple(0.4 * part + 0.6 * behind for part, behind in zip(to_rgb(color), to_rgb(background), strict=True))


def alone_in(values: list[float]) -> list[int]:
    """The places of values without a neighbour."""
    padded = [math.nan, *values, math.nan]
    return [
        n
        for n, number in enumerate(values)
        if not math.isnan(number) and math.isnan(padded[n]) and math.isnan(padded[n + 2])
    ]


class Plotly:
    """Draws a new figure and returns it."""

    @staticmethod
    def figure(log: bool, **layout: Any) -> Any:
        figure = import_module("plotly.graph_objects").Figure()
        figure.update_layout(
            template="plotly_white",
            xaxis_title="UTC",
            xaxis_rangeslider_visible=False,
            margin={"l": 60, "r": 20, "t": 50, "b": 50},
            **layout,
        )
        # whole, as everywhere: 85,000 and not 85k
        figure.update_yaxes(tickformat=",.7~r")
        if log:
            figure.update_yaxes(type="log", tickformat=",.7~r", dtick=1)
        return figure

    @classmethod
    def lines(cls, drawn: list[Line], value: str, log: bool, _ax: Any) -> Any:
        figure = cls.figure(log, yaxis_title=value, showlegend=1 < len(drawn) <= LEGEND)
        for line in drawn:
            values = [None if math.isnan(number) else number for number in line.values]
            alone = set(alone_in(line.values))
            # a point between two holes has no line, and must be seen all the same
            sizes = [5 if place in alone else 0 for place in range(len(values))]
            figure.add_scatter(
                x=line.at,
                y=values,
                name=line.coin,
                mode="lines+markers" if alone else "lines",
                marker={"size": sizes, "line": {"width": 0}} if alone else None,
                connectgaps=False,
            )
        if len(drawn) == 1:
            figure.update_layout(title=drawn[0].coin)
        return figure

    @classmethod
    def candles(cls, drawn: list[Bar], title: str, log: bool, _ax: Any) -> Any:
        figure = cls.figure(log, title=title, yaxis_title="price", showlegend=False)
        step = usual_step([[bar.at for bar in drawn]]) or timedelta(days=1)
        for is_partial in (False, True):
            some = [bar for bar in drawn if bar.is_partial == is_partial]
            if not some:
                continue
            columns = {name: [getattr(bar, name) for bar in some] for name in CANDLE}
            figure.add_candlestick(
                x=[bar.at for bar in some],
                # a candle stands in the middle of its time
                xperiod=step / timedelta(milliseconds=1),
                xperiod0=some[0].at,
                xperiodalignment="middle",
                name=f"{title}, partial" if is_partial else title,
                opacity=0.4 if is_partial else 1.0,
                increasing={"line": {"color": UP, "width": 1}, "fillcolor": UP},
                decreasing={"line": {"color": DOWN, "width": 1}, "fillcolor": DOWN},
                **columns,
            )
        return figure
