"""Stored points into Arrow, all of them and one coin's year, beside what else reads a table."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from lab import Lab
from measure import TIMES, Row, milliseconds, peer, ratio, table

FLOOR = "COPY out, bytes alone (psql)"
OURS, ONE = "coinmill: prices().to_arrow()", "coinmill: a call that reads a point or two"
BEYOND = "coinmill: beyond such a call"


def asked(lab: Lab, settings: dict[str, str], database: str, coin: str | None) -> dict[str, Any]:
    last = datetime.now(timezone.utc).replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
    return {
        "settings": lab.keywords(settings),
        "database": database,
        "coin": coin,
        "last": last.isoformat(),
        "rounds": lab.repeats,
    }


def loaded(lab: Lab, settings: dict[str, str]) -> None:
    span = ("--top", str(lab.coins), "--days", str(lab.days), "--resolution", "1h", "--yes")
    lab.run(settings, "backfill", *span)


def beyond(found: dict[str, list[float]]) -> None:
    """Adds what a read takes more than a call that reads next to nothing."""
    if ONE in found:
        found[BEYOND] = [all_of_it - one for all_of_it, one in zip(found[OURS], found[ONE], strict=True)]


def from_postgresql(lab: Lab) -> Row:
    settings = lab.fresh("postgresql")
    lab.run(settings, "init")
    # PostgreSQL would gather statistics some time within the next minute
    lab.cluster.sql("timeseries", "alter table timeseries.price_point set (autovacuum_enabled = false)")
    loaded(lab, settings)
    url = lab.cluster.url("timeseries")
    told = {"right after the load": peer("read_postgresql", asked(lab, settings, url, None))}
    lab.cluster.sql("timeseries", "analyze")
    told["after analyze"] = peer("read_postgresql", asked(lab, settings, url, None))
    told["one coin's year"] = peer("read_postgresql", asked(lab, settings, url, f"coin-{lab.coins // 2:03}"))
    for found in told.values():
        beyond(found["seconds"])
    rows = [f"{found['rows']:,} points, {what}" for what, found in told.items()]
    names = list(told["one coin's year"]["seconds"])
    lines = []
    for name in names:
        cells = [name]
        for found in told.values():
            seconds = found["seconds"].get(name, [])
            cells += [milliseconds(seconds), ratio(seconds, found["seconds"][FLOOR])]
        lines.append(cells)
    head = ["reader"]
    for what in rows:
        head += [f"{what}, ms", f"{TIMES} COPY out"]
    return Row(
        "Reading points from PostgreSQL into Arrow",
        "From the call to the table in memory, in a process that has read once before; the peers' connections are "
        "open, but for connectorx's, which opens its own each time, as each of coinmill's calls does. Peers and "
        "floor read the same rows in the same order from coinmill's `price_point`, with the coin as its number; "
        "coinmill gives its id too, and looks up what is missing. Floor: psql receives COPY's binary bytes and "
        "writes them nowhere, without its start. What was loaded is read once before, so that its hint bits are set; "
        "PostgreSQL has no statistics of it before `analyze`.",
        f"Aims: 1.2 {TIMES} COPY out, sooner than connectorx; one coin's within 10 ms beyond a call that reads little.",
        table(head, lines),
    )


def from_sqlite(lab: Lab) -> Row:
    settings = lab.fresh("sqlite")
    loaded(lab, settings)
    file = str(Path(settings["COINMILL_DATA_DIR"]) / "timeseries.db")
    told = [peer("read_sqlite", asked(lab, settings, file, coin)) for coin in (None, f"coin-{lab.coins // 2:03}")]
    head = ["reader"]
    for found in told:
        beyond(found["seconds"])
        beyond(found["workers"])
        head += [f"{found['rows']:,} points, ms", "its own process's CPU, ms"]
    lines = []
    for name in told[0]["seconds"]:
        cells = [name]
        for found in told:
            cells += [milliseconds(found["seconds"][name]), milliseconds(found["workers"].get(name, []))]
        lines.append(cells)
    return Row(
        "Reading points from SQLite into Arrow",
        "From the call to its result, as above, warm. coinmill's call starts a process, which opens the file, reads, "
        "and hands the table over; its CPU time, user and system, starting Python included, stands beside. The "
        "peers' connection is open, and their results are tuples and a pandas frame.",
        "Aims: 250 ms in the call's process; one coin's within 10 ms beyond a call that reads little.",
        table(head, lines),
    )
