"""What every bench is given: the market's URL, a PostgreSQL cluster of its own, a folder, and the command."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from measure import Took, command

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import postgres

# durable as PostgreSQL is shipped: no word on fsync or synchronous_commit
SETTINGS = ("shared_buffers=512MB", "max_wal_size=4GB")
DATABASES = ("snapshot", "timeseries")
# those that coinmill's own settings come from
FOREIGN = tuple(name for name in os.environ if name.startswith("COINMILL_"))


class Cluster:
    """A PostgreSQL cluster, and what is done to it beside what is timed."""

    def __init__(self, administrator: str) -> None:
        self.address = urlsplit(administrator)
        self.psql = os.environ["COINMILL_TEST_PSQL"]
        self.sql("postgres", "create role bench superuser login password 'bench'")
        # one that every library can read
        self.address = self.address._replace(netloc=f"bench:bench@127.0.0.1:{self.address.port}")
        self.version = self.sql("postgres", "show server_version")

    def url(self, database: str) -> str:
        return self.address._replace(path=f"/{database}").geturl()

    def command(self, database: str, *statements: str) -> list[str]:
        """psql with statements, each a transaction of its own."""
        command = [self.psql, "-qtAX", "-v", "ON_ERROR_STOP=1", self.url(database)]
        return command + [part for statement in statements for part in ("-c", statement)]

    def sql(self, database: str, *statements: str) -> str:
        done = subprocess.run(self.command(database, *statements), capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"psql: {done.stderr}")
        return done.stdout.strip()

    def fresh(self, *names: str) -> None:
        """Makes databases anew, and lets nothing of what was before be written while the next one is timed."""
        for name in names:
            self.sql("postgres", f"drop database if exists {name} with (force)", f"create database {name}")
        self.sql("postgres", "checkpoint")


@dataclass
class Lab:
    coinmill: Path
    api: str
    cluster: Cluster
    scratch: Path
    runs: int
    repeats: int
    coins: int
    days: int

    def fresh(self, kind: str) -> dict[str, str]:
        """Empty databases and landing of coinmill's own; its settings, as variables."""
        home = self.scratch / "coinmill"
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir()
        settings = {"COINMILL_API_URL": self.api, "COINMILL_PLAN": "unlimited", "COINMILL_DATA_DIR": str(home)}
        if kind == "postgresql":
            self.cluster.fresh(*DATABASES)
            settings |= {f"COINMILL_{name.upper()}_URL": self.cluster.url(name) for name in DATABASES}
        return settings

    def run(self, settings: dict[str, str], *arguments: str) -> Took:
        """coinmill's command, in a folder without a settings file."""
        return command([self.coinmill, *arguments], settings, self.scratch)

    def keywords(self, settings: dict[str, str]) -> dict[str, str]:
        """The same settings for a `Mill`."""
        return {name.removeprefix("COINMILL_").lower(): value for name, value in settings.items()}


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """A cluster on the disk of a folder; elsewhere only where the server's user could not reach it."""
    reached = folder if not postgres.run_as() or all(is_open(part) for part in (folder, *folder.parents)) else None
    with postgres.cluster(SETTINGS, reached) as administrator:
        yield Cluster(administrator)


def is_open(folder: Path) -> bool:
    return bool(folder.stat().st_mode & stat.S_IXOTH)
