"""Whole runs of the DAG by `dag.test()`: a market server, PostgreSQL for the data, SQLite for Airflow's database."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import coinmill

pytestmark = pytest.mark.usefixtures("metadata")

Deployment = dict[str, str]
LISTING = "run_market_listing"
Count = Callable[[Deployment], tuple[int, int]]


@pytest.fixture
def dag(dag: Any) -> Any:
    """The DAG, with tries that follow each other at once."""
    for task in dag.tasks:
        task.retry_delay = timedelta()
    return dag


@pytest.fixture
def deployment(
    sim: coinmill.Sim,
    tmp_path: Path,
    deploy: Callable[[coinmill.Sim, Path], Deployment],
    monkeypatch: pytest.MonkeyPatch,
) -> Deployment:
    """A fresh pair of databases; the environment names them and the market."""
    variables = deploy(sim, tmp_path)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return variables


def results(run: Any) -> dict[str, tuple[str, Any]]:
    """The state of each task of a run, and what it left in XCom."""
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    with create_session() as session:
        left = XComModel.get_many(run_id=run.run_id, key="return_value")
        rows: list[Any] = list(session.scalars(left))
        reports = {row.task_id: XComModel.deserialize_value(row) for row in rows}
    others = {"market_snapshot_taken", LISTING}
    tasks = [task for task in run.get_task_instances() if task.task_id not in others]
    return {task.task_id: (str(task.state), reports.get(task.task_id)) for task in tasks}


def listing_of(run: Any) -> tuple[str, Any]:
    """The state of the list's task, and what it left in XCom."""
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    with create_session() as session:
        left: list[Any] = list(session.scalars(XComModel.get_many(run_id=run.run_id, key="return_value")))
        reports = [XComModel.deserialize_value(row) for row in left if row.task_id == LISTING]
    return str(run.get_task_instance(LISTING).state), reports[0] if reports else None


def test_a_run_stores_both_and_a_second_run_of_the_slot_adds_nothing(
    dag: Any, sim: coinmill.Sim, deployment: Deployment, count: Count
) -> None:
    first = results(dag.test(run_after=sim.now, logical_date=None))
    state, snapshot = first["run_market_snapshot"]
    assert (state, snapshot["state"], snapshot["stored"], snapshot["missing"]) == ("success", "complete", 20, [])
    state, timeseries = first["run_market_timeseries"]
    assert (state, timeseries["state"], timeseries["missing"]) == ("success", "complete", [])
    stored = count(deployment)
    assert stored == (20, timeseries["stored"])
    assert stored[1] > 20 * 24 * 11  # five minutes apart, of one day

    calls = sim.calls
    again = results(dag.test(run_after=sim.now + timedelta(seconds=1), logical_date=None))
    assert [(state, report["stored"], report["calls"]) for state, report in again.values()] == [("success", 0, 0)] * 2
    assert again["run_market_snapshot"][1]["content_hash"] == snapshot["content_hash"]
    assert (count(deployment), sim.calls) == (stored, calls)


def test_the_list_of_all_coins_is_stored_once_a_day_beside_the_others(
    dag: Any, sim: coinmill.Sim, deployment: Deployment
) -> None:
    first = dag.test(run_after=sim.now, logical_date=None)
    state, report = listing_of(first)
    assert (state, report["kind"], report["state"], report["calls"]) == ("success", "listing", "complete", 1)
    sim.advance(30 * 60)
    calls = sim.calls
    alone = dag.partial_subset(LISTING, include_upstream=False)
    state, again = listing_of(alone.test(run_after=sim.now, logical_date=None))
    assert (state, again["calls"], again["run"], sim.calls) == ("success", 0, report["run"], calls)


def test_a_list_that_fails_harms_no_other_and_the_run_is_not_green(
    dag: Any, sim: coinmill.Sim, deployment: Deployment
) -> None:
    sim.add_fault("body:path=/coins/list,times=0,text=[]")
    run = dag.test(run_after=sim.now, logical_date=None)
    assert [state for state, _ in results(run).values()] == ["success", "success"]
    assert (str(run.state), listing_of(run)) == ("failed", ("failed", None))
    # it is no fault of the source's that a second try could help
    assert run.get_task_instance(LISTING).try_number == 1


def test_a_run_that_is_late_fails_at_once_and_says_why(
    dag: Any, sim: coinmill.Sim, deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    run = dag.test(run_after=sim.now - timedelta(minutes=30), logical_date=None)
    # without any snapshot there are no coins to fetch charts of
    assert results(run) == {"run_market_snapshot": ("failed", None), "run_market_timeseries": ("failed", None)}
    assert (str(run.state), run.get_task_instance("run_market_snapshot").try_number) == ("failed", 1)
    assert "is past" in capsys.readouterr().out
    # the list of all coins is due all the same
    assert sim.calls == 1


def test_a_snapshot_that_fails_keeps_no_chart_from_being_fetched_and_the_run_is_not_green(
    dag: Any, sim: coinmill.Sim, deployment: Deployment
) -> None:
    coinmill.Mill().run_snapshot()
    run = dag.test(run_after=sim.now - timedelta(minutes=30), logical_date=None)
    (snapshot, _), (timeseries, report) = results(run).values()
    assert (snapshot, timeseries, report["state"], report["received"]) == ("failed", "success", "complete", 20)
    taken = run.get_task_instance("market_snapshot_taken")
    assert (str(run.state), str(taken.state)) == ("failed", "upstream_failed")


def test_a_fault_that_passes_is_retried_and_only_the_rest_is_asked_for(
    dag: Any, sim: coinmill.Sim, deployment: Deployment, monkeypatch: pytest.MonkeyPatch, count: Count
) -> None:
    """The market refuses its second page once: too little for the first try, which keeps what it has."""
    monkeypatch.setenv("COINMILL_TOP", "300")
    monkeypatch.setenv("COINMILL_ATTEMPTS", "1")
    sim.add_fault("503:after=1")
    run = dag.partial_subset("run_market_snapshot").test(run_after=sim.now, logical_date=None)
    state, report = results(run)["run_market_snapshot"]
    assert (state, report["state"], report["accepted"], report["stored"], report["calls"]) == (
        "success",
        "complete",
        300,
        150,
        1,
    )
    assert run.get_task_instance("run_market_snapshot").try_number == 2
    assert count(deployment) == (300, 0)


def test_a_fault_that_stays_fails_the_task_with_its_message(
    dag: Any, deployment: Deployment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COINMILL_VS_CURRENCY", "eur")
    run = dag.test(logical_date=None)
    assert results(run)["run_market_snapshot"] == ("failed", None)
    assert run.get_task_instance("run_market_snapshot").try_number == 1
    assert "usd" in capsys.readouterr().out


def test_an_execution_timeout_ends_a_native_call(
    dag: Any, sim: coinmill.Sim, deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    """The market stalls for longer than the task may take, and less than a call may."""
    sim.add_fault("stall:times=0")
    task = dag.get_task("run_market_snapshot")
    task.retries, task.execution_timeout = 0, timedelta(seconds=1)
    began = time.monotonic()
    run = dag.partial_subset("run_market_snapshot").test(run_after=sim.now, logical_date=None)
    assert results(run)["run_market_snapshot"] == ("failed", None)
    assert time.monotonic() - began < 15
    assert "AirflowTaskTimeout" in capsys.readouterr().out
    assert [run["state"] for run in coinmill.Mill().runs()] == ["abandoned"]


def test_a_partial_run_succeeds_and_says_what_is_missing(
    dag: Any, sim: coinmill.Sim, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"TOP": "300", "ATTEMPTS": "1", "COMPLETENESS": "0.5"}.items():
        monkeypatch.setenv(f"COINMILL_{name}", value)
    sim.add_fault("503:after=1")
    run = dag.partial_subset("run_market_snapshot").test(run_after=sim.now, logical_date=None)
    state, report = results(run)["run_market_snapshot"]
    assert (state, report["state"], report["expected"], report["stored"]) == ("success", "partial", 300, 150)
    assert report["missing"] == [{"coin_id": None, "what": "ranks 151 to 300", "reason": "page 2 of 2"}]
