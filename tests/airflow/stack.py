"""A whole Airflow: api-server, scheduler with LocalExecutor, and dag-processor, on free ports, and its REST API.

Everything lies in one folder. At the end each component and whatever it started get a signal, and nothing is left
behind.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import Request, urlopen

import psutil
from postgres import free_port

DAG = "crypto_market"
Found = TypeVar("Found")


def wait_for(what: str, look: Callable[[], Found | None], seconds: float = 60) -> Found:
    """What `look` finds, as soon as it finds something that is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.1)
    raise TimeoutError(f"{what}: not within {seconds} s")


class Stack:
    """The REST API of a running Airflow."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.token = ""

    def call(self, path: str, method: str = "GET", body: object = None) -> Any:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        data = None if body is None else json.dumps(body).encode()
        with urlopen(Request(self.url + path, data, headers, method=method), timeout=30) as reply:
            return json.load(reply)

    def sign_in(self) -> bool:
        """True as soon as the server answers."""
        with suppress(URLError, ConnectionError):
            self.token = self.call("/auth/token")["access_token"]
        return bool(self.token)

    def knows_the_dag(self) -> bool:
        """True as soon as the dag-processor has read it."""
        try:
            return bool(self.call(f"/api/v2/dags/{DAG}"))
        except HTTPError as error:
            if error.code != 404:
                raise
            return False

    def unpause(self) -> None:
        self.call(f"/api/v2/dags/{DAG}", "PATCH", {"is_paused": False})

    def trigger(self, run_after: str) -> str:
        """Starts a manual run, which has no logical date, and returns its id."""
        run: str = self.call(f"/api/v2/dags/{DAG}/dagRuns", "POST", {"logical_date": None, "run_after": run_after})[
            "dag_run_id"
        ]
        return run

    def runs(self) -> list[dict[str, Any]]:
        runs: list[dict[str, Any]] = self.call(f"/api/v2/dags/{DAG}/dagRuns")["dag_runs"]
        return runs

    def task(self, run: str, task: str) -> dict[str, Any]:
        found: dict[str, Any] = self.call(self.path(run, task))
        return found

    def run(self, run: str) -> dict[str, Any]:
        found: dict[str, Any] = self.call(f"/api/v2/dags/{DAG}/dagRuns/{quote(run)}")
        return found

    def end_of(self, run: str) -> str:
        """The state in which a run ends."""

        def ended() -> str | None:
            state: str = self.run(run)["state"]
            return state if state in {"success", "failed"} else None

        return wait_for(f"the end of {run}", ended)

    def xcom(self, run: str, task: str) -> Any:
        return self.call(f"{self.path(run, task)}/xcomEntries/return_value")["value"]

    def log(self, run: str, task: str, number: int = 1) -> list[dict[str, Any]]:
        """The lines of one try's log."""
        content: list[dict[str, Any]] = self.call(f"{self.path(run, task)}/logs/{number}?full_content=true")["content"]
        return content

    def path(self, run: str, task: str) -> str:
        return f"/api/v2/dags/{DAG}/dagRuns/{quote(run)}/taskInstances/{task}"


@contextmanager
def stack(home: Path, database: str, settings: Mapping[str, str]) -> Iterator[Stack]:
    """Starts an Airflow whose own database is `database` and whose tasks have `settings`, and waits until it is up."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    airflow = {
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__PARALLELISM": "2",
        "CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "DATABASE__SQL_ALCHEMY_CONN": database.replace("postgresql:", "postgresql+psycopg2:"),
        "API__HOST": "127.0.0.1",
        "API__PORT": str(port),
        "API__BASE_URL": url,
        "API__WORKERS": "1",
        "API__SECRET_KEY": secrets.token_hex(32),
        "API_AUTH__JWT_SECRET": secrets.token_hex(32),
        "LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
        "SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
        "WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
    }
    environment = {
        **os.environ,
        **{f"AIRFLOW__{name}": value for name, value in airflow.items()},
        **settings,
        "AIRFLOW_HOME": str(home),
        "DUMB_INIT_SETSID": "0",
        "NO_PROXY": "127.0.0.1",
    }

    def command(*arguments: str) -> list[str]:
        return [sys.executable, "-m", "airflow", *arguments]

    done = subprocess.run(command("db", "migrate"), env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    components: list[subprocess.Popen[bytes]] = []
    try:
        for name in ("api-server", "scheduler", "dag-processor"):
            with (home / f"{name}.log").open("w") as log:
                components.append(
                    subprocess.Popen(
                        command(name), env=environment, cwd=home, stdout=log, stderr=log, start_new_session=True
                    )
                )
        up = Stack(url)
        wait_for("the api-server", up.sign_in)
        wait_for("the DAG", up.knows_the_dag)
        yield up
    finally:
        for component in reversed(components):  # tasks report to the api-server until they end
            end(component)


def end(component: subprocess.Popen[bytes]) -> None:
    """Lets a component and its tasks end by themselves, and then ends what is left."""
    for process in of_session(component):
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    with suppress(TimeoutError):
        wait_for("its end", lambda: not of_session(component), 10)
    for process in of_session(component):
        with suppress(psutil.NoSuchProcess):
            process.kill()
    component.wait(timeout=10)
    wait_for("its end", lambda: not of_session(component), 10)


def of_session(component: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """A component and all that it has started: a task has a group of its own, but stays in the session."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            if os.getsid(process.pid) == component.pid and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found
