"""Crashes in the middle of a task, where the scheduler runs the tasks itself.

`make stack-test` injects the two that tell most; `make stack-chaos` all of them, several times.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from airflow_rest import SNAPSHOT, TIMESERIES
from deployment import Deployment, Undisturbed, deployed, healed, undisturbed
from harm import LIMIT, TIMEOUT, TOP, crash, cut_network, disturbed, down_and_up, restart
from tally import ROUNDS, note, slow

FAULTS = {
    "PostgreSQL crashed": crash("postgres"),
    "scheduler crashed": crash("scheduler"),
    "api-server crashed": crash("api-server"),
    "dag-processor crashed": crash("dag-processor"),
    "triggerer crashed": crash("triggerer"),
    "database sessions cut off": cut_network,
    "all restarted": restart,
    "down and up": down_and_up,
}
FEW = [("PostgreSQL crashed", TIMESERIES), ("scheduler crashed", TIMESERIES)]
ALL = [(name, task) for _ in range(ROUNDS) for name in FAULTS for task in (SNAPSHOT, TIMESERIES)]


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with deployed(tmp_path_factory.mktemp("stack"), top=TOP, COINMILL_TIMEOUT=str(TIMEOUT)) as running:
        yield running


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory, deployment: Deployment) -> Iterator[Undisturbed]:
    with undisturbed(tmp_path_factory.mktemp("twin"), top=TOP) as same:
        same.run(deployment.now)
        yield same


@pytest.mark.parametrize(("fault", "task"), ALL or FEW)
def test_a_fault_in_the_middle_of_a_task_is_healed_within_two_minutes(
    deployment: Deployment, twin: Undisturbed, fault: str, task: str
) -> None:
    seen = disturbed(deployment, twin, task, FAULTS[fault])
    note(fault, "LocalExecutor", task, seen)
    assert seen.healed, seen
    assert seen.paid_twice == 0, seen


@slow
@pytest.mark.parametrize("number", range(ROUNDS))
def test_a_task_that_begins_while_the_api_server_starts_waits_for_it(
    deployment: Deployment, twin: Undisturbed, number: int
) -> None:
    run = deployment.next_slot()
    deployment.crash("api-server")
    healed(deployment, run, LIMIT)
    twin.run(deployment.now)
    assert deployment.content() == twin.content()
    assert [deployment.airflow.task(run, task)["try_number"] for task in (SNAPSHOT, TIMESERIES)] == [1, 1]
