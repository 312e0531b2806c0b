"""Three Celery workers instead of one: the plan's month is shared, and all else is as with one."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timezone
from typing import Any

import pytest
from airflow_rest import SNAPSHOT, TIMESERIES, wait_for
from deployment import Deployment, Undisturbed, deployed, undisturbed
from harm import up
from spill import found_in, secrets_of, shown

TOP = 40
# by resolution, how many days are asked for; of each a call for each coin
SERIES: dict[Any, int] = {"5m": 1, "1h": 2, "1d": 30}
# enough for the charts of all coins every 23 hours
MONTH = 3000
# so much of it, spent before January's last three half-hours, leaves some for charts that are not due yet
SPENT = 2320
LAST = datetime(2026, 1, 31, 22, 5, tzinfo=timezone.utc)
PLAN = {"plan": "demo", "calls_per_minute": 6000, "credits_per_month": MONTH}


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    plan = {f"COINMILL_{name.upper()}": str(value) for name, value in PLAN.items()}
    files = "docker-compose.yml:tests/stack/market.yml:tests/stack/together.yml"
    more = {**plan, "COMPOSE_FILE": files, "WORKER_CONCURRENCY": "1"}
    with deployed(tmp_path_factory.mktemp("stack"), workers=3, top=TOP, **more) as running:
        yield running


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory, deployment: Deployment) -> Iterator[Undisturbed]:
    """The same slots by one process after the other."""
    with undisturbed(tmp_path_factory.mktemp("twin"), top=TOP, **PLAN) as same:
        same.run(deployment.now)
        yield same


def test_only_workers_know_how_to_write(deployment: Deployment) -> None:
    for service, knows in (("scheduler", False), ("worker", True)):
        said = deployment.docker_compose("exec", "-T", service, "cat", "/run/secrets/coinmill.toml")
        assert ("coinmill_writer" in said) is knows, service
    assert "coinmill_" not in deployment.docker_compose("exec", "-T", "scheduler", "env")


def test_no_secret_is_in_settings_logs_or_arguments_of_redis_and_workers(deployment: Deployment) -> None:
    assert {"redis", "worker"} <= set(up(deployment))
    wanted = secrets_of(deployment.env)
    assert found_in(shown(deployment), wanted) == set()
    assert any(b"airflow\0celery\0worker" in one for one in deployment.commands)
    assert found_in(b"\0".join(deployment.commands), wanted) == set()
    logs = deployment.docker_compose("exec", "-T", "worker", "grep", "-rh", "", "/opt/airflow/logs")
    assert "coins" in logs
    assert found_in(logs.encode(), wanted) == set()


def test_three_workers_at_once_share_the_months_calls_and_store_what_one_would(
    deployment: Deployment, twin: Undisturbed
) -> None:
    deployment.now = LAST
    deployment.control("/clock", "POST", {"set": deployment.now.isoformat()})
    twin.sim.set_clock(deployment.now)
    before = deployment.calls()
    runs = "/api/v2/dags/together/dagRuns"
    run = deployment.airflow.call(runs, "POST", {"logical_date": None, "conf": SERIES})["dag_run_id"]
    wait_for("three backfills", lambda: deployment.airflow.call(f"{runs}/{run}")["state"] == "success", 120)
    instances = deployment.airflow.call(f"{runs}/{run}/taskInstances")["task_instances"]
    assert len({one["hostname"] for one in instances}) == len(SERIES)

    # each was at work while each of the others was
    returned = [f"{runs}/{run}/taskInstances/{one['task_id']}/xcomEntries/return_value" for one in instances]
    reports = [deployment.airflow.call(path)["value"] for path in returned]
    assert [(report["state"], report["calls"]) for report in reports] == [("complete", TOP)] * len(SERIES)
    assert max(report["began"] for report in reports) < min(report["ended"] for report in reports)
    # the first run of all had a snapshot, the first coin's chart and the list of all coins
    assert deployment.calls() - before == budget(deployment) - 3 == len(SERIES) * TOP

    for resolution, days in SERIES.items():
        assert twin.mill.backfill(days=days, resolution=resolution)["state"] == "complete"
    assert deployment.content() == twin.content()


def budget(deployment: Deployment) -> int:
    """The month's calls, by the account that all workers share."""
    months = deployment.psql("airflow_snapshot", "select json_object_agg(month, credits) from budget.budget")
    calls: int = json.loads(months)["2026-01"]
    return calls


def test_the_months_calls_are_shared_and_the_results_are_those_of_one_worker(
    deployment: Deployment, twin: Undisturbed
) -> None:
    spent = f"update budget set credits = {SPENT}"
    deployment.psql("airflow_snapshot", spent.replace("budget", "budget.budget", 1))
    with closing(sqlite3.connect(twin.folder / "budget.db")) as account, account:
        account.execute(spent)
    runs, alone, before = [], [], deployment.calls()
    for _ in range(3):
        run = deployment.next_slot()
        assert deployment.airflow.end_of(run, 120) == "success"
        alone.append(twin.run(deployment.now))
        runs.append(run)
    workers = {deployment.airflow.task(run, task)["hostname"] for run in runs for task in (SNAPSHOT, TIMESERIES)}
    reports = [deployment.airflow.xcom(run, TIMESERIES) for run in runs]
    assert len(workers) > 1, "one worker has run everything: nothing was shared"
    fetched = [report["received"] for report in reports]
    assert fetched == [report["received"] for report in alone]
    assert all(0 < count < TOP for count in fetched), fetched
    assert deployment.content() == twin.content()
    # in the days since the first run every coin has lost points, which the first of these heals by the hour
    healed = [report["heal"]["calls"] for report in alone if report["heal"]]
    assert healed == [TOP]
    # and the day's list of all coins is one call more
    assert budget(deployment) - SPENT == deployment.calls() - before == 3 + sum(fetched) + TOP + 1
