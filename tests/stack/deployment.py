"""One stack of the tests' own: containers, volumes, network and `.env` under a name that no other has.

It is started by `docker/stack` like anyone's. What differs is in its `.env`: the market's clock stands still, and the
DAG's schedule is yearly, so that a scheduled run is due at once (that of New Year) and none after it. Then a test moves
the clock and starts the runs of later slots itself, and no half-hour of the real clock matters.
"""

from __future__ import annotations

import csv
import json
import os
import signal
import sqlite3
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta, timezone
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from airflow_api import ended_before
from airflow_rest import Rest, wait_for
from compose import Compose
from environment import ROOT, Environment
from postgres import free_port
from processes import commands

import coinmill

NEW_YEAR = datetime(2026, 1, 1, 0, 5, tzinfo=timezone.utc)
HALF_HOUR = timedelta(minutes=30)
WAITS = "waiting for a green run"  # as `make stack` says
Row = tuple[str | float, ...]
# what is stored, whatever the database: each slot's content hash, every quote, every price point
Content = dict[str, Counter[Row]]
# every column of a quote but the two that number rows; instants as milliseconds
QUOTE_COLUMNS = """
    select string_agg(
      format(
        case data_type
          when 'timestamp with time zone' then '(extract(epoch from q.%1$I) * 1000)::bigint'
          else 'q.%1$I'
        end,
        column_name
      ), ', ' order by column_name)
    from information_schema.columns
    where (table_schema, table_name) = ('snapshot', 'quote') and column_name not in ('coin', 'landing')
"""


class Deployment:
    """A stack, and what a test does with it."""

    def __init__(self, env: Environment, sim: int) -> None:
        self.env = env
        self.compose = Compose(env)
        self.sim = f"http://127.0.0.1:{sim}/sim"
        self.now = NEW_YEAR
        self.again = 0
        self.commands: set[bytes] = set()  # of the first start
        self.airflow = Rest(env.url, env["AIRFLOW_USER"], env["AIRFLOW_PASSWORD"])

    def make(self, what: str, *arguments: str, answer: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
        """What `make stack` and its like run."""
        with self.begin(what, *arguments, **environ) as process:
            out, err = process.communicate(answer)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def begin(self, what: str, *arguments: str, **environ: str) -> subprocess.Popen[str]:
        """The same, while it goes on."""
        return subprocess.Popen(
            [sys.executable, "docker/stack", what, "--env", str(self.env.path), *arguments],
            cwd=ROOT,
            env={**os.environ, "WHEEL": "prebuilt", **environ},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def up(self, **environ: str) -> str:
        """Starts it, and tells what that printed. Of a stack that has run before it starts a run of the present slot,
        as the schedule would on a clock that goes on."""
        began = datetime.now(timezone.utc)
        said = []
        with self.begin("up", **environ) as process:
            for line in process.stdout or ():
                said.append(line)
                if WAITS in line:
                    self.airflow.sign_in()
                    runs = self.airflow.newest_runs()
                    if runs and all(ended_before(run, began) for run in runs):
                        # a run's id is made of its instant
                        self.again += 1
                        self.airflow.trigger((self.now + timedelta(seconds=self.again)).isoformat())
            said += process.stderr or ()
        assert process.returncode == 0, "".join(said)
        return "".join(said)

    def purge(self) -> None:
        self.make("purge", answer=self.env.project + "\n")
        images = [self.env["STACK_IMAGE"], self.env["STACK_IMAGE"] + "-notebooks"]
        subprocess.run(["docker", "image", "rm", "-f", *images], capture_output=True)

    def docker_compose(self, *arguments: str, answer: str | None = None, **environ: str) -> str:
        """What `docker compose` prints for these arguments."""
        command = [*self.compose.program, "--env-file", str(self.env.path), "-p", self.env.project, *arguments]
        env = {**self.compose.variables, **environ}
        done = subprocess.run(command, cwd=ROOT, env=env, input=answer, capture_output=True, text=True)
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    def psql(self, database: str, sql: str) -> str:
        """What psql prints as the superuser, without decoration."""
        options = ["-U", "postgres", "-qtAX", "-v", "ON_ERROR_STOP=1", "-d", database]
        return self.docker_compose("exec", "-T", "postgres", "psql", *options, answer=sql).strip()

    def crash(self, service: str, only: str | None = None) -> None:
        """Kills its first process from outside, as the kernel would: `docker kill` would count as wished for.

        With `only`, of several containers just the one of this host name.
        """
        found = [one for one in self.compose.containers(service) if only in (None, one["Config"]["Hostname"])]
        assert found, f"no container of {service} to crash"
        for container in found:
            os.kill(container["State"]["Pid"], signal.SIGKILL)

    def cut_sessions(self) -> None:
        """Drops the packets of coinmill's present sessions at the database server."""
        sql = "select host(client_addr), client_port from pg_stat_activity where application_name = 'coinmill'"
        sessions = [line.split("|") for line in self.psql("postgres", sql).splitlines()]
        assert sessions, "there is no session to cut"
        for address, port in sessions:
            self.filter_packets("-A", "INPUT", "-p", "tcp", "-s", address, "--sport", port, "-j", "DROP")
            self.filter_packets("-A", "OUTPUT", "-p", "tcp", "-d", address, "--dport", port, "-j", "DROP")

    def mend_sessions(self) -> None:
        """Lets all packets through again."""
        self.filter_packets("-F")

    def filter_packets(self, *rule: str) -> None:
        """Changes the packet filter of the database server's container."""
        pid = self.compose.containers("postgres")[0]["State"]["Pid"]
        subprocess.run(["nsenter", "-t", str(pid), "-n", "iptables", *rule], check=True, capture_output=True)

    def control(self, path: str, method: str = "GET", body: object = None) -> Any:
        """A control call to the market."""
        data = None if body is None else json.dumps(body).encode()
        with urlopen(Request(f"{self.sim}{path}", data, method=method), timeout=30) as reply:
            return json.load(reply)

    def calls(self) -> int:
        calls: int = self.control("")["calls"]
        return calls

    def next_slot(self) -> str:
        """Moves the market's clock half an hour on, and starts a run of that slot."""
        self.now += HALF_HOUR
        self.control("/clock", "POST", {"set": self.now.isoformat()})
        return self.airflow.trigger(self.now.isoformat())

    def keep_clock(self) -> None:
        """Makes a market that is created from now on begin where the clock is now."""
        rewrite(self.env.path, {"TEST_CLOCK": self.now.isoformat()})

    def content(self) -> Content:
        columns = self.psql("airflow_snapshot", QUOTE_COLUMNS)
        asked = {
            "slots": (
                "airflow_snapshot",
                "select (extract(epoch from snapshot_time) * 1000)::bigint, content_hash from snapshot.snapshot_now",
            ),
            "quotes": (
                "airflow_snapshot",
                f"select c.id, {columns} from snapshot.quote q join snapshot.coin c on c.key = q.coin",
            ),
            "points": (
                "airflow_timeseries",
                "select c.id, p.resolution, (extract(epoch from p.ts) * 1000)::bigint, p.price, p.market_cap, p.volume"
                " from timeseries.price_now p join timeseries.coin c on c.key = p.coin",
            ),
        }
        return {
            name: rows(csv.reader(self.psql(database, f"copy ({sql}) to stdout csv").splitlines()))
            for name, (database, sql) in asked.items()
        }


class Undisturbed:
    """The same slots, run against the same market on this machine, into SQLite, with nothing in their way."""

    def __init__(self, sim: coinmill.Sim, folder: Path, top: int, **more: Any) -> None:
        self.sim = sim
        self.folder = folder
        self.mill = coinmill.Mill(**{**sim.settings, "data_dir": folder, "top": top, **more})

    def run(self, now: datetime) -> coinmill.records.SeriesReport:
        self.sim.set_clock(now)
        assert self.mill.run_snapshot()["state"] == "complete"
        report = self.mill.run_timeseries()
        # as the DAG does: a call of the month is set aside for it until it is stored
        self.mill.run_listing()
        # after some days without a run, points are lost
        assert report["state"] == "complete" or all("are lost" in one["reason"] for one in report["missing"])
        return report

    def content(self) -> Content:
        with closing(sqlite3.connect(self.folder / "snapshot.db")) as snapshot:
            slots = snapshot.execute("select snapshot_time, content_hash from snapshot_now").fetchall()
            names = "select name from pragma_table_info('quote') where name not in ('coin', 'landing') order by name"
            columns = ", ".join(f"q.{name}" for (name,) in snapshot.execute(names))
            quotes = snapshot.execute(f"select c.id, {columns} from quote q join coin c on c.key = q.coin").fetchall()
        with closing(sqlite3.connect(self.folder / "timeseries.db")) as series:
            points = series.execute(
                "select c.id, p.resolution, p.ts, p.price, p.market_cap, p.volume"
                " from price_now p join coin c on c.key = p.coin"
            ).fetchall()
        return {"slots": rows(slots), "quotes": rows(quotes), "points": rows(points)}


def rows(read: Iterable[Iterable[Any]]) -> Counter[Row]:
    """Rows as often as they were read, as both databases and CSV can tell them: nothing is an empty text."""
    return Counter(tuple(map(value, row)) for row in read)


def value(read: Any) -> str | float:
    try:
        return float(read)
    except (TypeError, ValueError):
        return read or ""


def write_environment(folder: Path, *, workers: int = 0, top: int = 20, **more: str) -> tuple[Environment, int]:
    """The `.env` of a new stack, and the port of its market."""
    sim = free_port()
    path = folder / f".env.test-{uuid.uuid4().hex[:8]}"
    env = Environment.write(path, sim=True, workers=workers, port=free_port())
    changed = {
        "STACK_SECRETS": str(folder / "secrets"),
        # two checkouts on one machine need two names
        "STACK_IMAGE": os.environ.get("COINMILL_TEST_IMAGE", f"coinmill-airflow:{env.project}"),
        "COMPOSE_FILE": "docker-compose.yml:tests/stack/market.yml",
        "TEST_CLOCK": NEW_YEAR.isoformat(),
        "TEST_SIM_PORT": str(sim),
        # the market takes any, and tests look for it where it must not be
        "COINMILL_API_KEY": f"CG-{uuid.uuid4().hex}",
        "COINMILL_CLOCK": "sim",
        "COINMILL_SCHEDULE": "0 0 1 1 *",
        "COINMILL_TOP": str(top),
        **more,
    }
    rewrite(path, changed)
    return Environment.open(env.path), sim


def rewrite(path: Path, changed: dict[str, str]) -> None:
    """Gives variables of an `.env` other values."""
    lines = [line for line in path.read_text().splitlines() if line.partition("=")[0] not in changed]
    path.write_text("\n".join([*lines, *(f"{name}={value}" for name, value in changed.items())]) + "\n")


@contextmanager
def deployed(folder: Path, *, workers: int = 0, top: int = 20, **more: str) -> Iterator[Deployment]:
    """A stack that is up, its first run green; all of it is gone afterwards."""
    deployment = Deployment(*write_environment(folder, workers=workers, top=top, **more))
    try:
        with commands() as deployment.commands:
            deployment.up()
        yield deployment
    finally:
        if "COINMILL_TEST_KEEP" not in os.environ:
            deployment.purge()


@contextmanager
def undisturbed(folder: Path, top: int = 20, **more: Any) -> Iterator[Undisturbed]:
    with coinmill.Sim(clock=NEW_YEAR, frozen=True) as sim:
        yield Undisturbed(sim, folder, top, **more)


def healed(deployment: Deployment, run: str, seconds: float = 120) -> float:
    """Waits until a run has ended well, and tells how many seconds that took."""
    began = datetime.now(timezone.utc)

    def ended() -> bool:
        try:
            state = deployment.airflow.run(run)["state"]
        except (OSError, HTTPException):  # whatever the fault has taken away comes back
            return False
        assert state != "failed", f"{run} failed"
        return bool(state == "success")

    wait_for(f"the end of {run}", ended, seconds)
    return (datetime.now(timezone.utc) - began).total_seconds()
