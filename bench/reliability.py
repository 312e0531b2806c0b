"""The tables of docs/reliability.md, from what the tests of faults wrote down.

    python bench/reliability.py LOG [--stack] [--out docs/reliability.md]

LOG is the file that COINMILL_CHAOS_LOG named: one line of JSON for each group of faults. It writes one part of the page
and leaves the other as it is: with --stack that of `make stack-chaos`, else that of `make chaos`.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

COUNTS = ("injected", "healed", "lost", "doubled", "silent", "paid_twice")
STACK_TITLE = "## The stack\n"

HEAD = """\
# Reliability

The results of faults that were injected into real runs: the real program, real PostgreSQL and SQLite, the market server
over real HTTP. After each fault the run is repeated and its content compared with that of an undisturbed run.

- *injected*: faults, each with a run and databases of its own.
- *healed*: the next run was complete, its content equals the undisturbed one, and a third run had nothing to do.
- *lost*, *doubled*: rows that were missing or too many after that.
- *silent*: faults after which a report said complete, but was wrong.
- *paid twice*: calls for bodies that were in the landing already.

To reproduce it: `make chaos` (an hour on two cores; it writes this page). `make test` injects a few of each sort.

"""

STACK_HEAD = """
Crashes in the stack of `docker-compose.yml`, each in the middle of a task: the market stops in the middle of a
response, then a container's first process is killed from outside (SIGKILL), or all services are restarted, or all
containers are removed and created again, or what the task's database sessions send and are sent is dropped from then on
without a word. The stack recovers by itself; no command helps it.

- *injected*: faults, each in a half-hour of its own.
- *healed*: within two minutes of the fault the DAG run had succeeded and every service was healthy again; every quote
  and every point that is stored equals an undisturbed run's, and nothing was shown as running any more.
- *median*, *longest*: seconds from the fault to the end of the DAG run. In up to 15 of them a task that survived waits
  for the response that the market had stopped in.

The rest is as above. To reproduce it: `make stack-chaos COINMILL_CHAOS_ROUNDS=1` (by default three rounds, each of
about forty minutes on two cores, in both tasks, after the other tests of the stack; it writes this part; with
`PYTEST_ADDOPTS='-k timeseries'` only crashes in the time series task). `make stack-test` injects two of them.

"""

Key = tuple[str, str, str]


@dataclass
class Row:
    """The results of one sort of fault."""

    counts: list[int] = field(default_factory=lambda: [0] * len(COUNTS))
    seconds: list[float] = field(default_factory=list)


def read(log: Path, third: str) -> dict[Key, Row]:
    """The results of each group and kind of run, by database or executor."""
    rows: defaultdict[Key, Row] = defaultdict(Row)
    for line in log.read_text().splitlines():
        noted = json.loads(line)
        row = rows[noted["group"], noted["run"], noted[third]]
        for place, name in enumerate(COUNTS):
            row.counts[place] += noted[name]
        if "seconds" in noted:
            row.seconds.append(noted["seconds"])
    return dict(sorted(rows.items()))


def table(rows: dict[Key, Row], third: str) -> str:
    timed = any(row.seconds for row in rows.values())
    titles = ["fault", "run", third, *(name.replace("_", " ") for name in COUNTS)]
    lines = [[*titles, *(["median", "longest"] if timed else [])]]
    lines.append(["---"] * 3 + ["---:"] * (len(lines[0]) - 3))
    for key, row in rows.items():
        lines.append([*key, *(f"{count:,}" for count in row.counts), *(times(row.seconds) if timed else [])])
    totals = [sum(column) for column in zip(*(row.counts for row in rows.values()), strict=True)]
    every = [seconds for row in rows.values() for seconds in row.seconds]
    total = [*(f"{count:,}" for count in totals), *(times(every) if timed else [])]
    lines.append(["**all**", "", "", *(f"**{number}**" for number in total)])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def times(seconds: list[float]) -> list[str]:
    return [f"{median(seconds):.0f}", f"{max(seconds):.0f}"]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("log", type=Path)
    options.add_argument("--stack", action="store_true")
    options.add_argument("--out", type=Path, default=Path("docs/reliability.md"))
    o = options.parse_args()
    third = "executor" if o.stack else "database"
    rows = read(o.log, third)
    if not rows:
        raise SystemExit(f"{o.log} holds no line: were the tests run with COINMILL_CHAOS_LOG?")
    core, title, stack = (o.out.read_text() if o.out.exists() else "").partition(STACK_TITLE)
    if o.stack:
        title, stack = STACK_TITLE, STACK_HEAD + table(rows, third)
        core = core.rstrip("\n") + "\n\n" if core else ""
    else:
        core = HEAD + table(rows, third) + ("\n" if title else "")
    o.out.write_text(core + title + stack)
    print(f"{o.out}: {sum(row.counts[0] for row in rows.values()):,} faults")


if __name__ == "__main__":
    main()
