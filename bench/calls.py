"""What is done often and has to be short: a half-hour's snapshot, `coinmill init`, and the import."""

from __future__ import annotations

import sys

from lab import Lab
from measure import Row, command, milliseconds, peer, table

KINDS = {"postgresql": "PostgreSQL", "sqlite": "SQLite"}
EXPERTS = {
    "postgresql": "aiohttp, orjson, psycopg: COPY, a commit",
    "sqlite": "aiohttp, orjson, sqlite3: executemany, a commit",
}
MODULES = ("coinmill", "requests", "pycoingecko", "aiohttp", "coingecko_sdk")


def tick(lab: Lab) -> Row:
    lines = []
    for kind, shown in KINDS.items():
        settings = lab.fresh(kind)
        lab.run(settings, "init")
        lab.cluster.fresh("peer")
        database = lab.cluster.url("peer") if kind == "postgresql" else str(lab.scratch / "tick.db")
        asked = {
            "kind": kind,
            "api": lab.api,
            "settings": lab.keywords(settings),
            "database": database,
            "rounds": lab.repeats,
        }
        for name, times in peer("tick", asked).items():
            contender = f"{shown}: coinmill" if name == "coinmill" else f"{shown}: {EXPERTS[kind]}"
            lines.append([contender, milliseconds(times["after"]), milliseconds(times["whole"])])
    return Row(
        "A half-hour's snapshot of 250 coins",
        "After the answer: from the market's having given its answer to the kernel to the end of the call, all being "
        "committed. Whole: the call, its request and the market's work included. coinmill's is "
        "`Mill.run_snapshot()`, which makes its connections (on SQLite a process, too), lands the body, validates, "
        "derives and keeps the ledger; the peer's session and connection are open, and it stores the fields as they "
        "are. The market's clock moves half an hour between ticks.",
        "Aim: 20 ms after the answer.",
        table(["contender", "after the answer, ms", "whole, ms"], lines),
    )


def init(lab: Lab) -> Row:
    lines = []
    for kind, shown in KINDS.items():
        first, again = [], []
        for _ in range(lab.repeats):
            settings = lab.fresh(kind)
            first.append(lab.run(settings, "init").wall)
            again.append(lab.run(settings, "init").wall)
        lines.append([shown, milliseconds(first), milliseconds(again)])
    return Row(
        "`coinmill init`",
        "The command, from its start to its end: both databases, empty ones first, then once more.",
        "Aims: 60 and 20 ms.",
        table(["databases", "first, ms", "again, ms"], lines),
    )


def imports(lab: Lab) -> Row:
    bare: list[float] = []
    more: dict[str, list[float]] = {name: [] for name in MODULES}
    for turn in range(lab.repeats + 1):
        for name in MODULES:
            nothing = command([sys.executable, "-c", "pass"], cwd=lab.scratch).wall
            imported = command([sys.executable, "-c", f"import {name}"], cwd=lab.scratch).wall
            # the first may compile
            if turn:
                bare.append(nothing)
                more[name].append(imported - nothing)
    lines = [["Python alone", milliseconds(bare)]]
    lines += [[f"`import {name}`", milliseconds(seconds)] for name, seconds in more.items()]
    return Row(
        "`import coinmill`",
        "What `python -c 'import …'` takes more than `python -c pass`, which runs before it each time.",
        "Aim: 15 ms.",
        table(["", "ms"], lines),
    )
