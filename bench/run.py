"""Everything that coinmill is fast at, beside its peers, in one run; `make bench` builds what it needs and starts it.

    python bench/run.py --coinmill target/release/coinmill [--only KEY,KEY] [--runs 3] [--repeats 9] [--write FILE]

Contenders run in turn; shown are medians with least and most, and medians of each round's ratio. It needs the optimised
package and requirements/bench.txt in its Python; cluster, market and files are its own and are gone afterwards. With
--write the results go into FILE, between its two markers.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import backfill
import calls
import machine
import readers
import reads
from lab import FOREIGN, SETTINGS, Lab, cluster
from measure import Row, paragraph

import indicators
import market

BEGIN, END = "<!-- make bench: begin -->", "<!-- make bench: end -->"
ROWS: dict[str, Callable[[Lab], Row]] = {
    "backfill-postgresql": backfill.into_postgresql,
    "backfill-sqlite": backfill.into_sqlite,
    "read-postgresql": reads.from_postgresql,
    "read-sqlite": reads.from_sqlite,
    "indicators": indicators.row,
    "tick": calls.tick,
    "init": calls.init,
    "import": calls.imports,
    "readers": readers.row,
}


def write(file: Path, text: str) -> None:
    """Puts a text between the markers of a file."""
    before, begin, rest = file.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"{file} lacks {BEGIN} or {END}")
    file.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")


def stopped(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--coinmill", type=Path, required=True, help="the optimised command")
    parser.add_argument("--only", default="", help=f"some of {', '.join(ROWS)}")
    parser.add_argument("--runs", type=int, default=5, help="rounds of what takes seconds")
    parser.add_argument("--repeats", type=int, default=11, help="rounds of what takes milliseconds")
    parser.add_argument("--coins", type=int, default=50, help="coins of a backfill")
    parser.add_argument("--days", type=int, default=365, help="days of a backfill")
    parser.add_argument("--folder", type=Path, default=Path("target/bench"), help="where databases lie for a while")
    parser.add_argument("--write", type=Path, help="the file that is to have the results")
    options = parser.parse_args()
    keys = [key for key in options.only.split(",") if key] or list(ROWS)
    if unknown := set(keys) - set(ROWS):
        parser.error(f"no such row: {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}")
    if options.write and len(keys) < len(ROWS):
        parser.error("--write wants every row, of one run: leave out --only")
    # what is set for other databases than the benches' own
    for name in FOREIGN:
        os.environ.pop(name)
    signal.signal(signal.SIGTERM, stopped)
    options.folder.mkdir(parents=True, exist_ok=True)
    command = options.coinmill.resolve(strict=True)
    version = subprocess.run([command, "--version"], check=True, capture_output=True, text=True).stdout.strip()
    scratch = Path(tempfile.mkdtemp(prefix="run-", dir=options.folder.resolve()))
    try:
        with market.running(options.coins + 1) as api, cluster(options.folder.resolve()) as server:
            lab = Lab(command, api, server, scratch, options.runs, options.repeats, options.coins, options.days)
            said = [machine.described(scratch, server.version, SETTINGS, version)]
            print(said[0], flush=True)
            for key in keys:
                print(f"\n{key}: {time.strftime('%H:%M:%S')}", flush=True)
                said.append(ROWS[key](lab).markdown())
                print(said[-1], flush=True)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if options.write:
        when = time.strftime("%Y-%m-%d", time.gmtime())
        rounds = f"{options.runs} rounds of what takes seconds, {options.repeats} of what takes milliseconds"
        first = paragraph(f"Of {when}: {said[0]} Medians (least to most) of {rounds}, contenders in turn.")
        write(options.write, "\n".join([first, "", *said[1:]]))


if __name__ == "__main__":
    main()
