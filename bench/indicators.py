"""Ten indicators of a million points, beside TA-Lib, polars and pandas."""

from __future__ import annotations

from lab import Lab
from measure import TIMES, Row, milliseconds, peer, ratio, table

SERIES, POINTS = 50, 20_000


def row(lab: Lab) -> Row:
    seconds = peer("indicators", {"series": SERIES, "points": POINTS, "rounds": lab.repeats})
    floor = seconds["TA-Lib"]
    lines = [[name, milliseconds(taken, 0), ratio(taken, floor)] for name, taken in seconds.items()]
    return Row(
        f"Ten indicators of {SERIES * POINTS:,} points",
        f"{SERIES} series of {POINTS:,} points: SMA 7, 30, 90; EMA 12, 26; RSI 14; MACD 12, 26, 9; Bollinger 20; "
        "volatility 7 of log returns. From the call to all columns in memory: TA-Lib's from numpy arrays, one series "
        "after the other in one thread; coinmill's from one Arrow table as `prices()` gives it, the series told "
        "apart and holes looked for; polars' and pandas' by groups of a whole number, their EMAs beginning with the "
        "first price.",
        "Aim: TA-Lib's time.",
        table(["contender", "ms", f"{TIMES} TA-Lib"], lines),
    )
