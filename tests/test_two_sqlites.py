"""Python's own SQLite beside coinmill's, on the same files: nothing stale, nothing damaged, no crash.

POSIX locks belong to a process, and closing any descriptor of a file drops all of its locks: two SQLite libraries in
one process disturb each other. So coinmill works on SQLite files in a process of its own. COINMILL_TEST_ROUNDS says how
often each scenario is tried.
"""

from __future__ import annotations

import gc
import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import duckdb
import pytest

import coinmill

ROUNDS = int(os.environ.get("COINMILL_TEST_ROUNDS", "10"))
TOP = 50
COUNT = "select count(*) from quote"


@pytest.fixture
def mill(sim: coinmill.Sim, tmp_path: Path) -> coinmill.Mill:
    """A mill on SQLite files in the test's folder, with one snapshot."""
    mill = coinmill.Mill(**sim.settings, data_dir=tmp_path, top=TOP)
    assert mill.run_snapshot()["stored"] == TOP
    return mill


def sqlite_of_duckdb() -> Path | None:
    """The file of duckdb's sqlite extension, where its wheel is installed."""
    spec = find_spec("duckdb_extension_sqlite_scanner")
    if spec is None or spec.origin is None:
        return None
    return next(Path(spec.origin).parent.rglob("*.duckdb_extension"), None)


def next_snapshot(mill: coinmill.Mill, sim: coinmill.Sim) -> None:
    sim.advance(1800)
    report = mill.run_snapshot()
    assert (report["state"], report["stored"]) == ("complete", TOP)


def assert_whole(path: Path, snapshots: int) -> None:
    """The file is sound and holds every snapshot, as another process sees it."""
    code = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]);"
        f"print(*c.execute('pragma integrity_check').fetchone(), *c.execute('{COUNT}').fetchone())"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True)
    assert done.stdout.split() == ["ok", str(snapshots * TOP)], done.stderr


def test_a_connection_kept_open_over_runs_reads_what_they_stored(
    mill: coinmill.Mill, sim: coinmill.Sim, tmp_path: Path
) -> None:
    stale = []
    with closing(sqlite3.connect(tmp_path / "snapshot.db")) as kept:
        for number in range(1, ROUNDS + 1):
            kept.execute(COUNT).fetchone()
            next_snapshot(mill, sim)
            (found,) = kept.execute(COUNT).fetchone()
            if found != (number + 1) * TOP:
                stale.append((number, found))
    assert stale == []
    assert_whole(tmp_path / "snapshot.db", ROUNDS + 1)


@pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")
def test_connections_left_to_the_garbage_collector_damage_nothing(
    mill: coinmill.Mill, sim: coinmill.Sim, tmp_path: Path
) -> None:
    path = tmp_path / "snapshot.db"

    def read() -> int:
        """Reads rows, and leaves the connection in a cycle that only the collector ends."""
        connection = sqlite3.connect(path)
        found, _ = connection.execute("select count(*), sum(current_price) from quote").fetchone()
        left: list[object] = [connection]
        left.append(left)
        return int(found)

    malformed = []
    for number in range(1, ROUNDS + 1):
        try:
            read()
            next_snapshot(mill, sim)
            assert read() == (number + 1) * TOP
            if number % 3 == 0:
                gc.collect()
        except (sqlite3.DatabaseError, coinmill.StoreError) as error:
            malformed.append((number, str(error)))
    gc.collect()
    assert malformed == []
    assert_whole(path, ROUNDS + 1)


BUSY = """
import sqlite3, sys, threading
from contextlib import closing
from datetime import datetime, timezone
import coinmill

folder, rounds = sys.argv[1], int(sys.argv[2])
wrong, over = [], threading.Event()

def read() -> None:
    while not over.is_set():
        try:
            with closing(sqlite3.connect(f"{folder}/snapshot.db")) as connection:
                connection.execute("select count(*), sum(current_price) from quote").fetchone()
        except sqlite3.Error as error:
            wrong.append(repr(error))

with coinmill.Sim(market_size=300, frozen=True) as sim:
    mill = coinmill.Mill(**sim.settings, data_dir=folder, top=50)
    mill.run_snapshot()
    reader = threading.Thread(target=read)
    reader.start()
    try:
        for _ in range(rounds):
            sim.advance(1800)
            assert mill.run_snapshot()["stored"] == 50
    finally:
        over.set()
        reader.join()
assert not wrong, (len(wrong), wrong[0])
"""


def test_a_thread_that_opens_and_closes_all_the_time_crashes_nothing(tmp_path: Path) -> None:
    """In a process of its own: what is looked for ends in SIGBUS."""
    command = [sys.executable, "-c", BUSY, str(tmp_path), str(ROUNDS)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert_whole(tmp_path / "snapshot.db", ROUNDS + 1)


def test_duckdb_attached_to_the_file_reads_what_runs_store(
    mill: coinmill.Mill, sim: coinmill.Sim, tmp_path: Path
) -> None:
    extension = sqlite_of_duckdb()
    if extension is None:
        pytest.skip("duckdb's sqlite extension has no wheel for this kind of machine, and tests use no network")
    with duckdb.connect() as connection:
        connection.execute(f"load '{extension}'")
        connection.execute(f"attach '{tmp_path / 'snapshot.db'}' as kept (type sqlite)")
        for number in range(1, ROUNDS + 1):
            next_snapshot(mill, sim)
            assert connection.execute("select count(*) from kept.quote").fetchone() == ((number + 1) * TOP,)
    assert_whole(tmp_path / "snapshot.db", ROUNDS + 1)


def test_threads_of_both_libraries_on_both_files(mill: coinmill.Mill, sim: coinmill.Sim, tmp_path: Path) -> None:
    """Two threads read through coinmill while the main one runs and a third reads through sqlite3."""
    mill.backfill(days=1, coins=["bitcoin"])
    over, wrong = threading.Event(), []

    def through_coinmill() -> None:
        while not over.is_set():
            try:
                assert len(mill.quotes()) == TOP
            except (AssertionError, coinmill.CoinmillError) as error:
                wrong.append(repr(error))

    def through_sqlite3() -> None:
        while not over.is_set():
            for name in ("snapshot.db", "timeseries.db"):
                try:
                    with closing(sqlite3.connect(tmp_path / name)) as connection:
                        connection.execute("select count(*) from run").fetchone()
                except sqlite3.Error as error:
                    wrong.append(repr(error))

    threads = [threading.Thread(target=target) for target in (through_coinmill, through_coinmill, through_sqlite3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(max(2, ROUNDS // 5)):
            next_snapshot(mill, sim)
            mill.backfill(days=1, coins=["bitcoin", "ethereum"])
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert wrong == []
    assert_whole(tmp_path / "snapshot.db", max(2, ROUNDS // 5) + 1)
