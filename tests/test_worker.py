"""The process that works on SQLite files: what it may see, how it ends, and that nobody notices it otherwise."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import coinmill

KEY = "CG-hush0Hush1Hush2"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are looked at through /proc")


def children(of: int | None = None) -> set[int]:
    """The children of a process, zombies included, but for the helpers of multiprocessing, which stay."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                after = (entry / "stat").read_text().rpartition(")")[2].split()
                is_helper = b"multiprocessing" in (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if int(after[1]) == (of or os.getpid()) and not is_helper:
                found.add(int(entry.name))
    return found


@pytest.fixture(autouse=True)
def no_process_is_left() -> Iterator[None]:
    before = children()
    yield
    assert children() == before


def until(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.01)


@pytest.fixture
def stalled(sim: coinmill.Sim, tmp_path: Path) -> coinmill.Mill:
    """A mill on SQLite files whose market never answers."""
    sim.add_fault("stall:times=0")
    return coinmill.Mill(**sim.settings, data_dir=tmp_path, top=50, attempts=1, timeout=60, api_key=KEY)


@contextmanager
def under_way(mill: coinmill.Mill, sim: coinmill.Sim) -> Iterator[tuple[int, list[BaseException]]]:
    """A snapshot in a thread, once the market has its call: the worker, and what is raised in the end."""
    before, raised = children(), []

    def run() -> None:
        try:
            mill.run_snapshot()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        until(lambda: sim.calls > 0)
        (worker,) = children() - before
        yield worker, raised
    finally:
        sim.clear_faults()
        thread.join(20)
    assert not thread.is_alive()


def test_a_worker_has_its_own_group_and_shows_no_key(
    stalled: coinmill.Mill, sim: coinmill.Sim, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COINGECKO_API_KEY", KEY)
    monkeypatch.setenv("COINMILL_API_KEY", KEY)
    with under_way(stalled, sim) as (worker, _):
        assert os.getpgid(worker) == worker
        assert Path(f"/proc/{worker}/exe").resolve() == Path(sys.executable).resolve()
        for name in ("cmdline", "environ"):
            shown = Path(f"/proc/{worker}/{name}").read_bytes()
            assert KEY.encode() not in shown
            assert b"COINMILL_" not in shown
        os.kill(worker, signal.SIGKILL)
    assert not children()


def test_a_worker_imports_the_extension_and_nothing_besides() -> None:
    code = (
        "import sys; sys.path.append(sys.argv[1]); import _core;"
        "print({'coinmill', 'json', 'logging', 'site'} & set(sys.modules))"
    )
    command = [sys.executable, "-I", "-S", "-c", code, str(Path(coinmill.__file__).parent)]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "set()\n"


def test_a_killed_worker_is_an_error_that_says_so(stalled: coinmill.Mill, sim: coinmill.Sim) -> None:
    with under_way(stalled, sim) as (worker, raised):
        os.kill(worker, signal.SIGKILL)
        until(lambda: bool(raised))
    (error,) = raised
    assert isinstance(error, coinmill.StoreError)
    assert error.retryable
    assert "SIGKILL" in str(error)
    assert "call again" in str(error)
    assert not children()
    assert stalled.run_snapshot()["state"] == "complete"
    assert [run["state"] for run in stalled.runs()] == ["complete", "abandoned"]


def test_a_terminated_worker_ends_its_run_in_good_order(stalled: coinmill.Mill, sim: coinmill.Sim) -> None:
    with under_way(stalled, sim) as (worker, raised):
        os.kill(worker, signal.SIGTERM)
        until(lambda: bool(raised))
    with pytest.raises(coinmill.CoinmillError, match="stopped; run it again to resume") as stopped:
        raise raised[0]
    assert stopped.value.retryable
    assert [run["state"] for run in stalled.runs()] == ["abandoned"]


class Terminated(Exception):
    pass


@pytest.mark.parametrize(
    ("number", "handler", "raised"),
    [(signal.SIGINT, signal.default_int_handler, KeyboardInterrupt), (signal.SIGTERM, None, Terminated)],
)
def test_a_signal_ends_a_stalled_call_with_its_exception(
    stalled: coinmill.Mill,
    sim: coinmill.Sim,
    number: signal.Signals,
    handler: Callable[[int, FrameType | None], None] | None,
    raised: type[BaseException],
) -> None:
    def terminate(_number: int, _frame: FrameType | None) -> None:
        raise Terminated

    sent = []

    def send() -> None:
        until(lambda: sim.calls > 0)
        sent.append(time.monotonic())
        os.kill(os.getpid(), number)

    previous = signal.signal(number, handler or terminate)
    sender = threading.Thread(target=send)
    try:
        sender.start()
        with pytest.raises(raised):
            stalled.run_snapshot()
        took = time.monotonic() - sent[0]
    finally:
        sender.join()
        signal.signal(number, previous)
    assert took < 1.5, took
    assert not children()
    assert [run["state"] for run in stalled.runs()] == ["abandoned"]


def test_a_second_signal_ends_the_wait_for_a_worker_that_does_not_move(
    stalled: coinmill.Mill, sim: coinmill.Sim
) -> None:
    def send() -> None:
        until(lambda: sim.calls > 0)
        (worker,) = children()
        os.kill(worker, signal.SIGSTOP)
        for _ in range(2):
            sent.append(time.monotonic())
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.5)

    sent: list[float] = []
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    sender = threading.Thread(target=send)
    try:
        sender.start()
        with pytest.raises(KeyboardInterrupt):
            stalled.run_snapshot()
        took = time.monotonic() - sent[-1]
    finally:
        sender.join()
        signal.signal(signal.SIGINT, previous)
    assert took < 1.0, took
    assert not children()


PARENT = """
import multiprocessing, os, sys, threading, time
import coinmill

sim = coinmill.Sim(market_size=300, frozen=True, faults=["stall:times=0"])
mill = coinmill.Mill(**sim.settings, data_dir=sys.argv[1], top=50, attempts=1, timeout=60)
threading.Thread(target=mill.run_snapshot, daemon=True).start()
while sim.calls == 0:
    time.sleep(0.01)
if sys.argv[2] == "fork":
    # a fork in the middle of a call has the pipes of the worker, and outlives its parent
    pid = os.fork()
    if pid == 0:
        time.sleep(60)
        os._exit(0)
    print(pid, flush=True)
else:
    print(0, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("fork", ["fork", "none"])
def test_a_worker_ends_with_its_killed_parent(tmp_path: Path, fork: str) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path), fork]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        forked = int(parent.stdout.readline())
        workers = children(parent.pid) - {forked}
        assert len(workers) == 1
        parent.kill()
        parent.wait()
        try:
            until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers), 5)
        finally:
            if forked:
                os.kill(forked, signal.SIGKILL)
    mill = coinmill.Mill(data_dir=tmp_path, top=50)
    (run,) = mill.runs()
    # the market died with the parent, too: the worker may have met that first
    assert run["state"] in {"abandoned", "failed"}


def test_postgresql_stays_in_this_process(
    sim: coinmill.Sim, administrator: str, psql: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("stay_snapshot", "stay_timeseries"):
        psql(f"drop database if exists {name}")
        psql(f"create database {name}")
    base = administrator.rpartition("/")[0]
    mill = coinmill.Mill(
        **sim.settings,
        top=20,
        snapshot_url=f"{base}/stay_snapshot",
        timeseries_url=f"{base}/stay_timeseries",
    )
    # where no process can be started, nothing is missed
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    mill.init()
    report = mill.run_snapshot()
    mill.backfill(days=1, coins=["bitcoin"])
    assert (report["state"], len(mill.quotes()), len(mill.runs())) == ("complete", 20, 2)
    assert mill.replay(report["run"])["is_same"]
    with pytest.raises(coinmill.StoreError, match="/nowhere/python"):
        coinmill.Mill(**sim.settings).runs()


@pytest.mark.parametrize("executable", ["", None])
def test_where_no_python_is_known_the_remedy_is_said(
    executable: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", executable)
    with pytest.raises(coinmill.ConfigError, match="use PostgreSQL"):
        coinmill.Mill(data_dir=tmp_path).status()


def test_a_frozen_program_does_not_start_itself_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    with pytest.raises(coinmill.ConfigError, match=r"sys\.executable names no interpreter"):
        coinmill.demo(tmp_path)


@pytest.mark.parametrize(
    ("script", "error", "says"),
    [
        ("echo coinmill 9.9.9; exec sleep 60", coinmill.ConfigError, "9.9.9 is installed by now: restart Python"),
        ("echo ModuleNotFoundError: no _core >&2; exit 1", coinmill.StoreError, "no _core.*restart Python"),
        ("echo Python 3; exec sleep 60", coinmill.StoreError, "restart Python"),
        ("exit 0", coinmill.StoreError, "exit status: 0"),
    ],
)
def test_what_starts_in_place_of_a_worker_is_told_in_words(
    script: str, error: type[Exception], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    with pytest.raises(error, match=says):
        coinmill.Mill(data_dir=tmp_path).status()
    assert not children()


def test_relative_paths_are_those_of_this_process(sim: coinmill.Sim, tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    os.chdir(tmp_path / "inside")
    coinmill.Mill(**sim.settings, data_dir="here", top=5).run_snapshot()
    assert (tmp_path / "inside" / "here" / "snapshot.db").exists()


def test_settings_of_the_environment_and_the_file_reach_the_worker(
    sim: coinmill.Sim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "coinmill.toml").write_text("top = 7\nadd_coins = ['monero']\n")
    monkeypatch.setenv("COINMILL_TOP", "3")
    report = coinmill.Mill(**sim.settings).run_snapshot()
    assert report["expected"] == 4
    assert "monero" in coinmill.Mill(**sim.settings).quotes().to_arrow()["coin_id"].to_pylist()


def test_levels_are_asked_of_python_while_a_call_is_under_way(
    sim: coinmill.Sim, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mill = coinmill.Mill(**sim.settings, data_dir=tmp_path, top=50)
    with caplog.at_level(logging.WARNING, logger="coinmill"):
        mill.run_snapshot()
    assert caplog.records == []
    sim.advance(1800)
    with caplog.at_level(logging.INFO, logger="coinmill.pipeline.snapshot"):
        mill.run_snapshot()
    assert {(record.name, record.levelname) for record in caplog.records} == {("coinmill.pipeline.snapshot", "INFO")}
    assert caplog.records[0].thread == threading.get_ident()


class Refused(Exception):
    pass


def test_what_a_log_handler_lets_a_signal_raise_is_not_lost(
    stalled: coinmill.Mill, sim: coinmill.Sim, tmp_path: Path
) -> None:
    """Python runs signal handlers wherever it runs: also while it writes a log record in the middle of a call."""

    class Handler(logging.Handler):
        def emit(self, _record: logging.LogRecord) -> None:
            signal.raise_signal(signal.SIGUSR1)

    def refuse(_number: int, _frame: FrameType | None) -> None:
        raise Refused

    sim.clear_faults()
    logger, handler = logging.getLogger("coinmill"), Handler()
    previous = signal.signal(signal.SIGUSR1, refuse)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        with pytest.raises(Refused):
            stalled.run_snapshot()
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)
        signal.signal(signal.SIGUSR1, previous)
    assert not children()


def stored(mill: coinmill.Mill, results: multiprocessing.SimpleQueue[int]) -> None:
    results.put(len(mill.quotes()))


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_processes_of_every_kind_can_read(sim: coinmill.Sim, tmp_path: Path, method: str) -> None:
    mill = coinmill.Mill(**sim.settings, data_dir=tmp_path, top=20)
    mill.run_snapshot()
    context: Any = multiprocessing.get_context(method)
    results = context.SimpleQueue()
    child = context.Process(target=stored, args=(mill, results))
    child.start()
    child.join(60)
    assert (child.exitcode, results.get()) == (0, 20)


def test_threads_call_at_the_same_time_and_leave_no_process(sim: coinmill.Sim, tmp_path: Path) -> None:
    mill = coinmill.Mill(**sim.settings, data_dir=tmp_path, top=20)
    mill.run_snapshot()
    lengths: list[int] = []
    threads = [threading.Thread(target=lambda: lengths.append(len(mill.quotes()))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lengths == [20] * 8


def test_it_works_where_children_are_reaped_by_the_system(sim: coinmill.Sim, tmp_path: Path) -> None:
    """A program that ignores SIGCHLD has no zombies, and nothing to wait for."""
    previous = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert coinmill.Mill(**sim.settings, data_dir=tmp_path, top=20).run_snapshot()["stored"] == 20
    finally:
        signal.signal(signal.SIGCHLD, previous)
