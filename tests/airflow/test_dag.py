"""The DAG's file: what it says, that reading it costs nothing, and which slot a run belongs to. No database."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

DAG_FILE = Path(__file__).parents[2] / "dags" / "crypto_market.py"


def test_the_dag_runs_all_every_half_hour_one_run_at_a_time(dag: Any) -> None:
    assert dag.timetable.expression == "*/30 * * * *"
    assert (dag.catchup, dag.max_active_runs) == (False, 1)
    first, *others = [task.task_id for task in dag.topological_sort()]
    after = {"run_market_timeseries", "run_market_listing", "market_snapshot_taken"}
    assert (first, set(others)) == ("run_market_snapshot", after)
    assert dag.get_task(first).downstream_task_ids == set(others)
    # charts and the list do not wait for a snapshot to succeed, and the run does
    rules = {name: dag.get_task(name).trigger_rule.value for name in others}
    assert rules.pop("market_snapshot_taken") == "all_success"
    assert rules == {"run_market_timeseries": "all_done", "run_market_listing": "all_done"}


def read_with(schedule: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What Airflow makes of the DAG's file under this `COINMILL_SCHEDULE`."""
    from airflow.dag_processing.dagbag import DagBag

    monkeypatch.setenv("COINMILL_SCHEDULE", schedule)
    return DagBag(dag_folder=str(DAG_FILE))


@pytest.mark.parametrize(
    ("schedule", "runs"),
    [
        ("", "*/30 * * * *"),
        ("  ", "*/30 * * * *"),
        ("*/10 * * * *", "*/10 * * * *"),
        (" 0 * * * * ", "0 * * * *"),
        ("17,47 8-18 * * MON-FRI", "17,47 8-18 * * MON-FRI"),
    ],
)
def test_a_variable_says_how_often_it_runs(schedule: str, runs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bag = read_with(schedule, monkeypatch)
    assert bag.import_errors == {}
    assert bag.dags["crypto_market"].timetable.expression == runs


@pytest.mark.parametrize(
    "schedule",
    ["every hour", "30", "61 * * * *", "*/0 * * * *", "a b c d e", "0 */30 * * * *", "@hourly", "30 minutes"],
)
def test_a_schedule_that_is_none_is_an_import_error_that_says_what_is_right(
    schedule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bag = read_with(schedule, monkeypatch)
    assert bag.dags == {}
    (error,) = bag.import_errors.values()
    assert f"ValueError: COINMILL_SCHEDULE is {schedule!r}, which is not a cron expression" in error
    assert "minute, hour, day, month and day of the week, such as */30 * * * *" in error


def test_tasks_are_retried_with_growing_delays_and_end_within_the_half_hour(dag: Any) -> None:
    for task in dag.tasks:
        assert (task.retries, task.retry_delay, task.retry_exponential_backoff) == (5, timedelta(seconds=10), 2)
    limits = [task.execution_timeout for task in dag.tasks if task.execution_timeout]
    assert (len(limits), sum(limits, timedelta()) < timedelta(minutes=30)) == (3, True)


READ = """
import json, runpy, sys

import airflow.providers.standard.operators.python, airflow.sdk  # Airflow's own imports are its own affair

touched, watched = [], ("socket.", "sqlite3.", "ctypes.")
sys.addaudithook(lambda event, _: touched.append(event) if event.startswith(watched) else None)
before = set(sys.modules)
runpy.run_path(sys.argv[1])
new = {name.partition(".")[0] for name in set(sys.modules) - before}
print(json.dumps({"touched": touched, "coinmill": sorted(name for name in sys.modules if name.startswith("coinmill")),
                  "drivers": sorted(new & {"psycopg2", "asyncpg", "sqlite3", "requests", "httpx"})}))
"""


def test_reading_the_dag_imports_nothing_native_and_touches_neither_network_nor_database() -> None:
    nowhere = {**os.environ, "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql+psycopg2://nobody@127.0.0.1:1/nothing"}
    command = [sys.executable, "-c", READ, str(DAG_FILE)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=nowhere)
    read = json.loads(done.stdout.splitlines()[-1])
    ours = [f"coinmill_airflow{module}" for module in ("", ".call", ".report", ".schedule", ".slot")]
    assert read == {"touched": [], "coinmill": ours, "drivers": []}


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("run_after", "slot"),
    [
        ("2026-03-01T00:30:00+00:00", "2026-03-01T00:30:00+00:00"),
        ("2026-03-01T00:59:59.999999+00:00", "2026-03-01T00:30:00+00:00"),
        ("2026-03-01T01:00:00+00:00", "2026-03-01T01:00:00+00:00"),
        ("2026-03-01T05:44:00+05:45", "2026-02-28T23:30:00+00:00"),
    ],
)
def test_a_slot_is_the_half_hour_that_holds_run_after_in_utc(run_after: str, slot: str) -> None:
    from coinmill_airflow import slot_of

    found = slot_of(SimpleNamespace(run_after=at(run_after)))
    assert (found, found.tzinfo) == (at(slot), timezone.utc)


@pytest.mark.parametrize("kind", ["the DAG's own", "data intervals"])
def test_a_scheduled_run_belongs_to_the_slot_that_begins_when_it_is_due(dag: Any, kind: str) -> None:
    """Whether its data interval has no length at all or is the half-hour before."""
    import pendulum
    from airflow.serialization.encoders import coerce_to_core_timetable
    from airflow.timetables.base import DataInterval, TimeRestriction
    from airflow.timetables.interval import CronDataIntervalTimetable

    from coinmill_airflow import slot_of

    own = coerce_to_core_timetable(dag.timetable)
    timetable = own if kind == "the DAG's own" else CronDataIntervalTimetable(dag.timetable.expression, "UTC")
    last = DataInterval.exact(pendulum.datetime(2026, 3, 1))
    every = TimeRestriction(earliest=None, latest=None, catchup=True)
    due = timetable.next_dagrun_info(last_automated_data_interval=last, restriction=every)
    assert due is not None
    assert slot_of(due) == due.run_after
    assert due.data_interval is not None
    assert (due.data_interval.start == due.data_interval.end) is (kind == "the DAG's own")


def test_sigterm_ends_a_native_call_at_once_after_the_handler_before_it_has_run() -> None:
    from airflow.sdk.exceptions import AirflowException

    import coinmill
    from coinmill_airflow import native_call

    heard: list[int] = []
    sent: list[float] = []
    previous = signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    ours = signal.getsignal(signal.SIGTERM)
    try:
        with coinmill.Sim(market_size=50, frozen=True, faults=["stall:times=0"]) as sim:
            mill = coinmill.Mill(**sim.settings, attempts=1)

            def when_called() -> None:
                while sim.calls == 0:
                    pass
                sent.append(time.monotonic())
                os.kill(os.getpid(), signal.SIGTERM)

            killer = threading.Thread(target=when_called)
            killer.start()
            with pytest.raises(AirflowException, match="SIGTERM"), native_call():
                mill.run_snapshot()
            assert time.monotonic() - sent[0] < 3
            killer.join()
        assert heard == [signal.SIGTERM]
        assert signal.getsignal(signal.SIGTERM) is ours
    finally:
        signal.signal(signal.SIGTERM, previous)


def test_a_native_fault_kills_the_process_at_once_under_the_parsers_handler() -> None:
    code = """
import os, signal
from coinmill_airflow import native_call
signal.signal(signal.SIGSEGV, lambda *_: None)
with native_call():
    os.kill(os.getpid(), signal.SIGSEGV)
"""
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == -signal.SIGSEGV


def test_errors_are_sorted_into_retry_and_fail_at_once(tmp_path: Path) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    import coinmill
    from coinmill_airflow import native_call

    with coinmill.Sim(market_size=50, frozen=True) as sim:
        mill = coinmill.Mill(**sim.settings, data_dir=tmp_path, attempts=1)
        slot = sim.now.replace(minute=sim.now.minute // 30 * 30, second=0, microsecond=0)
        cases: list[tuple[Callable[[], object], str]] = [
            (lambda: mill.run_snapshot(slot - timedelta(minutes=30)), "is past"),
            (lambda: mill.run_snapshot(slot + timedelta(minutes=30)), "still to come"),
            (lambda: mill.run_snapshot(7), "2026-01-31T00:30Z"),  # type: ignore[arg-type]
            (lambda: coinmill.Mill(plan="free"), "keyless, demo, paid or unlimited"),
        ]
        for wrong, says in cases:
            with pytest.raises(AirflowFailException, match=says), native_call():
                wrong()
        sim.add_fault("503")
        with pytest.raises(coinmill.SourceError, match="503"), native_call():
            mill.run_snapshot()
