"""What is done to a stack in the middle of a task, and how the run then ends.

A task is held in the middle of its work by a market that stops in the middle of a response: what came before is in the
landing, the rest is not. Then the fault strikes and the market responds again; nobody does anything else.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from airflow_rest import SNAPSHOT, TIMESERIES, wait_for
from compose import service_of
from deployment import Content, Deployment, Undisturbed, healed

TOP = 260  # coins: two pages of quotes, and more charts than a batch holds
TIMEOUT = 15  # seconds for a response: a task that survives goes on after them
LIMIT = 120  # seconds for healing
# by task, what the market stops at, and how many bodies of the slot are in the landing then
HOLDS = {
    SNAPSHOT: ("stall:times=0,path=page=2", 1),
    TIMESERIES: ("stall:times=0,after=240,path=market_chart", 2 + 240),
}
# what shows something as running
RUNNING = (
    ("airflow", "select count(*) from task_instance where state in ('running', 'queued', 'restarting')"),
    ("airflow", "select count(*) from dag_run where state in ('running', 'queued')"),
    ("airflow_snapshot", "select count(*) from snapshot.run where state = 'running'"),
    ("airflow_timeseries", "select count(*) from timeseries.run where state = 'running'"),
)


@dataclass(frozen=True)
class Held:
    """A task in the middle of its work."""

    run: str
    task: str
    worker: str  # the host name of the container that runs it


# tells from when on healing counts
Fault = Callable[[Deployment, Held], float]


@dataclass(frozen=True)
class Seen:
    """The result of one fault."""

    ended: bool  # the run, and well
    up: bool  # every service, and healthy
    seconds: float  # from the fault to the run's end
    lost: int
    doubled: int
    silent: bool
    paid_twice: int
    running: int  # what is shown as running and is not
    tries: int

    @property
    def healed(self) -> bool:
        return (
            self.ended
            and self.up
            and self.seconds < LIMIT
            and not (self.lost or self.doubled or self.silent or self.running)
        )


def crash(service: str) -> Fault:
    """All containers of a service."""

    def strike(deployment: Deployment, held: Held) -> float:
        deployment.crash(service)
        return time.monotonic()

    return strike


def crash_its_worker(deployment: Deployment, held: Held) -> float:
    """The worker that runs the task, and no other."""
    deployment.crash("worker", only=held.worker)
    return time.monotonic()


def cut_network(deployment: Deployment, held: Held) -> float:
    """Drops what the task's database sessions send and are sent from now on, and tells neither side. New ones come
    through."""
    deployment.cut_sessions()
    return time.monotonic()


def restart(deployment: Deployment, held: Held) -> float:
    """Every service but the market, whose clock would begin again."""
    began = time.monotonic()
    ours = {service_of(one) for one in deployment.compose.containers(stopped=True, one_shots=True)} - {"sim"}
    deployment.docker_compose("restart", *sorted(ours))
    return began


def down_and_up(deployment: Deployment, held: Held) -> float:
    """All containers removed and, from when on healing counts, made again. The data and the market's clock are kept."""
    deployment.keep_clock()
    done = deployment.make("down")
    assert done.returncode == 0, done.stdout + done.stderr
    began = time.monotonic()
    deployment.compose.up(recreate=False)
    return began


def disturbed(deployment: Deployment, twin: Undisturbed, task: str, fault: Fault) -> Seen:
    """A run of the next slot with a fault in the middle of this task; the twin runs the same slot in peace."""
    services = up(deployment)
    before = landed(deployment)
    stall, bodies = HOLDS[task]
    deployment.control("/faults", "POST", [stall])
    run = deployment.next_slot()
    wait_for(f"{task} in the middle of its work", lambda: (landed(deployment) - before).total() >= bodies)
    paid = landed(deployment) - before
    instance = deployment.airflow.task(run, task)
    assert instance["state"] == "running", instance
    market = deployment.compose.containers("sim")[0]["Id"]
    calls = deployment.calls()
    # what it has stopped at, it does not go on with
    deployment.control("/faults", "DELETE")

    began = fault(deployment, Held(run, task, instance["hostname"]))
    ended = goes_well(lambda: healed(deployment, run, LIMIT * 2))
    seconds = time.monotonic() - began
    deployment.mend_sessions()
    left = max(1, LIMIT - seconds)
    is_up = goes_well(lambda: wait_for("every service", lambda: up(deployment) == services, left))

    if deployment.compose.containers("sim")[0]["Id"] != market:
        calls = 0
    again = Counter(call["path"] for call in deployment.control("/calls")["log"][calls:])
    twin.run(deployment.now)
    lost, doubled = differences(twin.content(), deployment.content())
    return Seen(
        ended,
        is_up,
        seconds,
        lost,
        doubled,
        silent=ended and lost > 0 and says_complete(deployment, run),
        paid_twice=sum(again[path] for path in paid),
        running=sum(int(deployment.psql(database, sql)) for database, sql in RUNNING),
        tries=deployment.airflow.task(run, task)["try_number"],
    )


def goes_well(step: Callable[[], object]) -> bool:
    try:
        step()
    except (AssertionError, TimeoutError) as error:
        print(error)
        return False
    return True


def says_complete(deployment: Deployment, run: str) -> bool:
    return all(deployment.airflow.xcom(run, task)["state"] == "complete" for task in (SNAPSHOT, TIMESERIES))


def up(deployment: Deployment) -> Counter[str]:
    """How many containers of each service run and are healthy."""
    states = [(service_of(one), one["State"]) for one in deployment.compose.containers()]
    return Counter(name for name, state in states if state["Running"] and state["Health"]["Status"] == "healthy")


def landed(deployment: Deployment) -> Counter[str]:
    """The paths of what was received whole and listed, as often as it was."""
    service = "worker" if deployment.env.workers else "scheduler"
    listed = deployment.docker_compose("exec", "-T", service, "sh", "-c", "cat /var/lib/coinmill/*/*/manifest.jsonl")
    requests = (json.loads(line).get("request") for line in listed.splitlines())
    return Counter(request.partition("/api/v3")[2] for request in requests if request)


def differences(wanted: Content, found: Content) -> tuple[int, int]:
    """How many rows are missing or not the same, and how many are too many."""
    return (
        sum((wanted[name] - found[name]).total() for name in wanted),
        sum((found[name] - wanted[name]).total() for name in wanted),
    )
