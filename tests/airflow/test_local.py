"""The DAG under a whole Airflow: forks, signals, logs and REST are as they are in production."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import psutil
import pytest
from airflow_rest import SNAPSHOT, TIMESERIES, wait_for
from local import LocalAirflow, local_airflow
from postgres import PASSWORD, QUOTED

import coinmill

Deployment = dict[str, str]
Count = Callable[[Deployment], tuple[int, int]]


def has_ended(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def slot_lasts() -> bool:
    """Whether the half-hour goes on long enough for a scheduled run to be made and begun in it."""
    now = datetime.now(timezone.utc)
    return 30 * 60 - (now.minute % 30 * 60 + now.second) > 20


@pytest.fixture(scope="module")
def market() -> Iterator[coinmill.Sim]:
    """A simulated market whose clock stands still."""
    with coinmill.Sim(market_size=300, frozen=True) as sim:
        yield sim


@pytest.fixture(scope="module")
def deployment(
    market: coinmill.Sim,
    tmp_path_factory: pytest.TempPathFactory,
    deploy: Callable[[coinmill.Sim, Path], Deployment],
) -> Deployment:
    return deploy(market, tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def airflow(
    deployment: Deployment, tmp_path_factory: pytest.TempPathFactory, fresh_database: Callable[[str], str]
) -> Iterator[LocalAirflow]:
    with local_airflow(tmp_path_factory.mktemp("airflow"), fresh_database("airflow"), deployment) as running:
        yield running


@pytest.fixture(scope="module")
def first(airflow: LocalAirflow, market: coinmill.Sim) -> str:
    """The run that the scheduler makes when the DAG is unpaused."""
    wait_for("a slot that lasts", slot_lasts, 30)
    market.set_clock(datetime.now(timezone.utc))
    airflow.unpause()
    run: dict[str, Any] = wait_for("a scheduled run", airflow.runs)[0]
    assert run["run_type"] == "scheduled"
    assert airflow.end_of(run["dag_run_id"]) == "success"
    return str(run["dag_run_id"])


def test_a_scheduled_run_stores_both_and_leaves_its_report(
    airflow: LocalAirflow, first: str, deployment: Deployment, count: Count
) -> None:
    snapshot, timeseries = airflow.xcom(first, SNAPSHOT), airflow.xcom(first, TIMESERIES)
    assert (snapshot["state"], snapshot["expected"], snapshot["stored"]) == ("complete", 20, 20)
    assert (snapshot["missing"], snapshot["missing_more"]) == ([], 0)
    assert snapshot["snapshot_time"] == airflow.run(first)["run_after"].replace(":00Z", ":00.000Z")
    assert (timeseries["state"], timeseries["missing"]) == ("complete", [])
    assert count(deployment) == (20, timeseries["stored"])
    assert timeseries["stored"] > 20 * 24 * 11  # five minutes apart, of one day


def test_what_rust_logs_is_in_the_tasks_log_with_its_level_and_no_password_is(
    airflow: LocalAirflow, first: str
) -> None:
    ours = [line for line in airflow.log(first, SNAPSHOT) if str(line.get("logger")).startswith("coinmill.")]
    said = [(line["level"], line["event"]) for line in ours if "complete, 20 of 20 coins" in line["event"]]
    assert [level for level, _ in said] == ["info"]
    for task in (SNAPSHOT, TIMESERIES):
        log = airflow.log(first, task)
        assert [line for line in log if line.get("level") in {"error", "critical"}] == []
        assert PASSWORD not in str(log)
        assert QUOTED not in str(log)


def test_a_task_that_is_killed_ends_at_once_and_its_slot_is_recovered_again(
    airflow: LocalAirflow, first: str, market: coinmill.Sim
) -> None:
    """Marked as failed while the market stalls. The slot is an earlier one, since a run for a later one would wait."""
    market.advance(-60 * 60)
    market.add_fault("stall:times=0")
    calls = market.calls
    run = airflow.trigger(market.now.isoformat())
    wait_for("a call that stalls", lambda: market.calls > calls)
    process = psutil.Process(airflow.task(run, SNAPSHOT)["pid"])
    airflow.call(airflow.path(run, SNAPSHOT), "PATCH", {"new_state": "failed"})
    # 5 s after SIGTERM the supervisor would send SIGKILL, and nothing below would be in the log
    wait_for("the end of the process", lambda: has_ended(process), 20)
    assert airflow.end_of(run) == "failed"
    log = str(airflow.log(run, SNAPSHOT))
    assert "the task was killed (SIGTERM)" in log

    market.clear_faults()
    again = airflow.trigger((market.now + timedelta(seconds=1)).isoformat())
    assert airflow.end_of(again) == "success"
    assert airflow.xcom(again, SNAPSHOT)["stored"] == 20
    market.advance(60 * 60)


def test_a_second_run_of_the_slot_by_hand_adds_nothing(
    airflow: LocalAirflow, first: str, market: coinmill.Sim, deployment: Deployment, count: Count
) -> None:
    stored, calls = count(deployment), market.calls
    run = airflow.trigger(market.now.isoformat())
    assert airflow.end_of(run) == "success"
    for task in (SNAPSHOT, TIMESERIES):
        assert (airflow.xcom(run, task)["stored"], airflow.xcom(run, task)["calls"]) == (0, 0)
    assert airflow.xcom(run, SNAPSHOT)["content_hash"] == airflow.xcom(first, SNAPSHOT)["content_hash"]
    assert (count(deployment), market.calls) == (stored, calls)
