"""Airflow's REST API, as far as one waits for a run by it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import Request, urlopen

from environment import Refused

DAG = "/api/v2/dags/crypto_market/dagRuns"
# each with what it stores
TASKS = {"run_market_snapshot": "coins", "run_market_timeseries": "points", "run_market_listing": "listed coins"}
ENDED = {"success", "failed"}
PAST = "is past: "  # what a run says that comes too late for its half-hour
DUE_SECONDS = 20  # within which the scheduler makes a run that its schedule has due


class Airflow:
    """An api-server with users of its own."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self.url = url
        self.credentials = {"username": user, "password": password}
        self.token = ""

    def call(self, path: str, method: str = "GET", body: object = None) -> Any:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        data = None if body is None else json.dumps(body).encode()
        with urlopen(Request(self.url + path, data, headers, method=method), timeout=30) as reply:
            return json.load(reply)

    def sign_in(self) -> bool:
        """Gets a token for the next calls; true, or an error."""
        self.token = ""
        self.token = self.call("/auth/token", "POST", self.credentials)["access_token"]
        return True

    def newest_runs(self) -> list[dict[str, Any]]:
        """The latest few, the latest first."""
        try:
            runs: list[dict[str, Any]] = self.call(f"{DAG}?order_by=-run_after&limit=5")["dag_runs"]
        except HTTPError as error:
            if error.code == 404:  # the DAG has not been read yet
                return []
            raise
        return runs

    def wait_for_green_run(self, since: datetime, seconds: float, say: Callable[[str], None]) -> str:
        """Waits until a run has ended well after an instant, and tells what it stored.

        Runs that ended before it tell nothing of this start. Where there are only such runs and the schedule has none
        due, it starts one: of a half-hour that is stored, it stores nothing twice and pays for nothing twice.
        """
        end = time.monotonic() + seconds
        start_one = time.monotonic() + DUE_SECONDS
        told: dict[str, str] = {}
        while time.monotonic() < end:
            try:
                if not self.token:
                    self.sign_in()
                runs = self.newest_runs()
                run = next((one for one in runs if not ended_before(one, since)), None)
                if not run:
                    self.refuse_import_errors()
                    if runs and time.monotonic() > start_one:
                        say("the schedule has no run due; starting one")
                        self.call(DAG, "POST", {"logical_date": None})
                else:
                    self.tell(run["dag_run_id"], told, say)
                    if run["state"] == "success":
                        return self.told(run["dag_run_id"])
                    if run["state"] == "failed":
                        said = self.failure(run["dag_run_id"])
                        if PAST not in said:
                            raise Refused(said)
                        # its half-hour ended before it began: the next one's run follows
                        since, start_one = datetime.now(timezone.utc), time.monotonic() + DUE_SECONDS
            except HTTPError as error:
                if error.code == 401 and self.token:
                    self.token = ""
                elif error.code < 500:  # an error of its own may pass: it has just started
                    raise Refused(f"Airflow's API refuses: {error}") from error
            except BrokenPipeError:
                raise  # of `say`: the reader of what it prints has gone
            except (URLError, OSError):
                pass  # it may just be restarting
            time.sleep(1)
        raise Refused(f"no run ended within {seconds / 60:.0f} minutes: look at {self.url}/dags/crypto_market")

    def refuse_import_errors(self) -> None:
        """Refuses where a DAG's file cannot be read."""
        for error in self.call("/api/v2/importErrors")["import_errors"]:
            said = error["stack_trace"].strip().splitlines()[-1]
            raise Refused(f"{error['filename']} cannot be read: {said}")

    def tell(self, run: str, told: dict[str, str], say: Callable[[str], None]) -> None:
        for task in self.tasks(run):
            name, state, tried = task["task_id"], task["state"], f"{task['state']} {task['try_number']}"
            if state in {"running", "success", "failed", "up_for_retry"} and told.get(name) != tried:
                told[name] = tried
                why = f": {self.error_of(run, task)}" if state in {"failed", "up_for_retry"} else ""
                say(f"{name}: {state.replace('_', ' ')}{why}")

    def tasks(self, run: str) -> list[dict[str, Any]]:
        tasks: list[dict[str, Any]] = self.call(f"{DAG}/{quote(run)}/taskInstances")["task_instances"]
        return tasks

    def told(self, run: str) -> str:
        """What the tasks of a run returned, as a line each."""
        lines = []
        for task, what in TASKS.items():
            report = self.call(f"{DAG}/{quote(run)}/taskInstances/{task}/xcomEntries/return_value")["value"]
            missing = len(report["missing"]) + report.get("missing_more", 0)
            calls = "1 call" if report["calls"] == 1 else f"{report['calls']} calls"
            lines.append(
                f"{task}: {report['state']}, {report['stored']:,} {what} stored, {calls}"
                + (f", {missing} missing" if missing else "")
            )
        return "\n".join(lines)

    def failure(self, run: str) -> str:
        """Which task of a run failed, and why."""
        for task in self.tasks(run):
            if task["state"] == "failed":
                return f"{task['task_id']} failed: {self.error_of(run, task)} ({self.url})"
        return f"the run failed: look at {self.url}/dags/crypto_market"

    def error_of(self, run: str, task: dict[str, Any]) -> str:
        """What the last try of a task logged as its error."""
        log = f"{DAG}/{quote(run)}/taskInstances/{task['task_id']}/logs/{task['try_number']}?full_content=true"
        errors = [line for line in self.call(log)["content"] if line.get("level") in {"error", "critical"}]
        causes = [cause["exc_value"] for line in errors for cause in line.get("error_detail") or []]
        said = [*causes, *(line["event"] for line in errors)]
        return said[0] if said else "its log says why"


def ended_before(run: dict[str, Any], instant: datetime) -> bool:
    # Python 3.10 reads no Z
    return run["state"] in ENDED and datetime.fromisoformat(run["end_date"].replace("Z", "+00:00")) < instant
