"""Airflow's REST API as the tests use it, whether Airflow runs on this machine or in containers."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.error import HTTPError
from urllib.parse import quote

from airflow_api import Airflow

DAG = "crypto_market"
SNAPSHOT, TIMESERIES = "run_market_snapshot", "run_market_timeseries"
Found = TypeVar("Found")


def wait_for(what: str, look: Callable[[], Found | None], seconds: float = 60) -> Found:
    """What `look` finds, as soon as it finds something that is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.1)
    raise TimeoutError(f"{what}: not within {seconds} s")


class Rest(Airflow):
    """What a test does with a running Airflow."""

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

    def end_of(self, run: str, seconds: float = 60) -> str:
        """The state in which a run ends."""

        def ended() -> str | None:
            state: str = self.run(run)["state"]
            return state if state in {"success", "failed"} else None

        return wait_for(f"the end of {run}", ended, seconds)

    def xcom(self, run: str, task: str) -> Any:
        return self.call(f"{self.path(run, task)}/xcomEntries/return_value")["value"]

    def log(self, run: str, task: str, number: int = 1) -> list[dict[str, Any]]:
        """The lines of one try's log."""
        content: list[dict[str, Any]] = self.call(f"{self.path(run, task)}/logs/{number}?full_content=true")["content"]
        return content

    def path(self, run: str, task: str) -> str:
        return f"/api/v2/dags/{DAG}/dagRuns/{quote(run)}/taskInstances/{task}"
