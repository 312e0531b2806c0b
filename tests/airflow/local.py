"""A whole Airflow: api-server, scheduler with LocalExecutor, and dag-processor, on free ports, and its REST API.

Everything lies in one folder. At the end each component and whatever it started get a signal, and nothing is left
behind.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.error import URLError

import psutil
from airflow_rest import Rest, wait_for
from postgres import free_port


class LocalAirflow(Rest):
    """Its REST API, whose users are all administrators."""

    def __init__(self, url: str) -> None:
        super().__init__(url, "", "")

    def sign_in(self) -> bool:
        """True as soon as the server answers."""
        with suppress(URLError, ConnectionError):
            self.token = self.call("/auth/token")["access_token"]
        return bool(self.token)


@contextmanager
def local_airflow(home: Path, database: str, settings: Mapping[str, str]) -> Iterator[LocalAirflow]:
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
        up = LocalAirflow(url)
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
