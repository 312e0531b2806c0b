"""Three Celery workers instead of one: the plan's month is shared, and nothing else is to be seen of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timezone

import pytest
from airflow_rest import SNAPSHOT, TIMESERIES
from deployment import Deployment, Undisturbed, deployed, undisturbed

TOP = 40
# in January's last one and a half hours the month's calls do not suffice for all coins of each half-hour
MONTH = 100
LAST = datetime(2026, 1, 31, 22, 5, tzinfo=timezone.utc)
PLAN = {"plan": "demo", "calls_per_minute": 6000, "credits_per_month": MONTH}


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    plan = {f"COINMILL_{name.upper()}": str(value) for name, value in PLAN.items()}
    with deployed(tmp_path_factory.mktemp("stack"), workers=3, top=TOP, **plan) as running:
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


def test_the_months_calls_are_shared_and_the_results_are_those_of_one_worker(
    deployment: Deployment, twin: Undisturbed
) -> None:
    deployment.now = LAST
    runs = []
    for _ in range(3):
        run = deployment.next_slot()
        assert deployment.airflow.end_of(run, 120) == "success"
        twin.run(deployment.now)
        runs.append(run)
    workers = {deployment.airflow.task(run, task)["hostname"] for run in runs for task in (SNAPSHOT, TIMESERIES)}
    reports = [deployment.airflow.xcom(run, TIMESERIES) for run in runs]
    assert len(workers) > 1, "one worker has run everything: nothing was shared"
    assert [report["postponed"] > 0 for report in reports] == [True] * 3
    assert deployment.content() == twin.content()
    budget = deployment.psql("airflow_snapshot", "select json_object_agg(month, credits) from snapshot.budget")
    assert json.loads(budget) == {"2026-01": MONTH}
    assert deployment.calls() == MONTH
