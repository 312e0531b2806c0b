"""Crashes in the middle of a task that one of three Celery workers runs; only in `make stack-chaos`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from airflow_rest import SNAPSHOT, TIMESERIES
from deployment import Deployment, Undisturbed, deployed, undisturbed
from harm import TIMEOUT, TOP, crash, crash_its_worker, disturbed, down_and_up, restart
from tally import ROUNDS, note, slow

FAULTS = {
    "its worker crashed": crash_its_worker,
    "all workers crashed": crash("worker"),
    "redis crashed": crash("redis"),
    "PostgreSQL crashed": crash("postgres"),
    "scheduler crashed": crash("scheduler"),
    "api-server crashed": crash("api-server"),
    "all restarted": restart,
    "down and up": down_and_up,
}
ALL = [(name, task) for _ in range(ROUNDS) for name in FAULTS for task in (SNAPSHOT, TIMESERIES)]


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with deployed(tmp_path_factory.mktemp("stack"), workers=3, top=TOP, COINMILL_TIMEOUT=str(TIMEOUT)) as running:
        yield running


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory, deployment: Deployment) -> Iterator[Undisturbed]:
    with undisturbed(tmp_path_factory.mktemp("twin"), top=TOP) as same:
        same.run(deployment.now)
        yield same


@slow
@pytest.mark.parametrize(("fault", "task"), ALL)
def test_a_fault_in_the_middle_of_a_task_is_healed_within_two_minutes(
    deployment: Deployment, twin: Undisturbed, fault: str, task: str
) -> None:
    seen = disturbed(deployment, twin, task, FAULTS[fault])
    note(fault, "CeleryExecutor", task, seen)
    assert seen.healed, seen
    assert seen.paid_twice == 0, seen
