"""Readers beside a run: do they fail, how long do they wait, and how much longer does the run take?"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lab import Lab
from measure import PEERS, TIMES, Row, ratio, spread, table

READERS, PAUSE = 10, 0.1


@contextmanager
def reading(asked: dict[str, Any], found: list[dict[str, Any]]) -> Iterator[None]:
    """Readers that have read once, until the end of what is within; what they found is added."""
    command = [sys.executable, str(PEERS / "reader.py"), json.dumps(asked)]
    readers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(READERS)
    ]
    try:
        for reader in readers:
            assert reader.stdout is not None
            if reader.stdout.readline() != "ready\n":
                raise SystemExit("a reader did not start")
        yield
        found += [json.loads(reader.communicate(timeout=60)[0]) for reader in readers]
    finally:
        for reader in readers:
            reader.kill()
            reader.wait()


def row(lab: Lab) -> Row:
    # the market has charts of one coin more than a backfill asks for
    kept, coins = f"coin-{lab.coins:03}", ",".join(f"coin-{place:03}" for place in range(lab.coins))
    alone: list[float] = []
    beside: list[float] = []
    found: list[dict[str, Any]] = []
    asked = {"coin": kept, "pause": PAUSE}
    for _ in range(lab.runs):
        for walls in (alone, beside):
            settings = lab.fresh("postgresql")
            lab.run(settings, "init")
            lab.run(settings, "run", "snapshot")
            lab.run(settings, "backfill", "--coins", kept, "--days", "30", "--resolution", "1h", "--yes")
            span = ("backfill", "--coins", coins, "--days", str(lab.days), "--resolution", "1h", "--yes")
            if walls is alone:
                walls.append(lab.run(settings, *span).wall)
                continue
            with reading({**asked, "settings": lab.keywords(settings)}, found):
                walls.append(lab.run(settings, *span).wall)
    seconds = sorted(one for reader in found for one in reader["seconds"])
    errors = [error for reader in found for error in reader["errors"]]
    for error in sorted(set(errors)):
        print(f"  a reader's error: {error}", flush=True)
    late = statistics.quantiles(seconds, n=100)[98]
    head = ["reads", "errors", "median, ms", "99th in 100, ms", "run alone, s", "run beside them, s", "ratio"]
    cells = [f"{len(seconds):,}", str(len(errors)), f"{statistics.median(seconds) * 1000:.1f}", f"{late * 1000:,.1f}"]
    return Row(
        f"{READERS} readers beside a backfill into PostgreSQL",
        f"{READERS} Python processes read the newest 250 quotes, then a coin's last day, wait {PAUSE * 1000:.0f} ms "
        f"and begin again, while `coinmill backfill` fetches {lab.coins} coins {TIMES} {lab.days} days; they and "
        "the server share its cores. A read is a call of a `Mill`, with its connection.",
        "Aim: no error.",
        table(head, [[*cells, spread(alone), spread(beside), ratio(beside, alone)]]),
    )
