"""The table of docs/reliability.md, from what the tests of faults wrote down.

    python bench/reliability.py LOG [--out docs/reliability.md]

LOG is the file that COINMILL_CHAOS_LOG named: one line of JSON for each group of faults.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path

COUNTS = ("injected", "healed", "lost", "doubled", "silent", "paid_twice")

HEAD = """\
# Reliability

What came of faults that were injected into real runs: the real program, real PostgreSQL and SQLite, the market server
over real HTTP. After each fault the run is repeated and its content compared with that of a run that nobody disturbed.

- *injected*: faults, each with a run and databases of its own.
- *healed*: the next run was complete, all equal to the undisturbed one, and a third run had nothing to do.
- *lost*, *doubled*: rows that were missing or too many after that.
- *silent*: faults after which something was said to be complete that was not.
- *paid twice*: calls for bodies that were in the landing already.

To reproduce it: `make chaos` (an hour on two cores; it writes this page). `make test` injects a few of each sort.

"""


def read(log: Path) -> dict[tuple[str, str, str], list[int]]:
    """The counts of each group, database and kind of run."""
    rows: defaultdict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0] * len(COUNTS))
    for line in log.read_text().splitlines():
        noted = json.loads(line)
        row = rows[noted["group"], noted["run"], noted["database"]]
        for place, name in enumerate(COUNTS):
            row[place] += noted[name]
    return dict(sorted(rows.items()))


def table(rows: dict[tuple[str, str, str], list[int]]) -> str:
    titles = ["fault", "run", "database", *(name.replace("_", " ") for name in COUNTS)]
    lines = [titles, ["---"] * 3 + ["---:"] * len(COUNTS)]
    lines += [[*key, *(f"{count:,}" for count in counts)] for key, counts in rows.items()]
    totals = [sum(column) for column in zip(*rows.values(), strict=True)]
    lines.append(["**all**", "", "", *(f"**{count:,}**" for count in totals)])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("log", type=Path)
    options.add_argument("--out", type=Path, default=Path("docs/reliability.md"))
    o = options.parse_args()
    rows = read(o.log)
    if not rows:
        raise SystemExit(f"{o.log} holds no line: were the tests run with COINMILL_CHAOS_LOG?")
    o.out.write_text(HEAD + table(rows))
    print(f"{o.out}: {sum(counts[0] for counts in rows.values()):,} faults")


if __name__ == "__main__":
    main()
