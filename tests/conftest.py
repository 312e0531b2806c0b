"""What the tests of the bindings share: a PostgreSQL cluster, fresh databases, a market, and settings for it."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from postgres import cluster

import coinmill


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting comes from outside, and the default folders are the test's own."""
    for name in os.environ:
        if (name.startswith("COINMILL_") and not name.startswith("COINMILL_TEST_")) or name == "COINGECKO_API_KEY":
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def administrator() -> Iterator[str]:
    """The URL of a cluster's administrator: that of `tests/postgres.py`, or one started here."""
    given = os.environ.get("COINMILL_TEST_POSTGRES")
    if given:
        yield given
    else:
        with cluster() as url:
            yield url


@pytest.fixture
def psql(administrator: str) -> Callable[[str], str]:
    """Runs SQL and returns what psql prints, without decoration."""

    def run(sql: str) -> str:
        command = [os.environ["COINMILL_TEST_PSQL"], "-qtAX", "-v", "ON_ERROR_STOP=1", administrator, "-c", sql]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    return run


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a fresh snapshot database, of either kind."""
    if request.param == "sqlite":
        return f"sqlite://{tmp_path / 'snapshot.db'}"
    url = urlsplit(request.getfixturevalue("administrator"))
    name = f"test_{uuid.uuid4().hex}"
    request.getfixturevalue("psql")(f"create database {name}")
    fresh: str = url._replace(path=f"/{name}").geturl()
    return fresh


@pytest.fixture
def sim() -> Iterator[coinmill.Sim]:
    """A simulated market of 300 coins whose clock stands still."""
    with coinmill.Sim(market_size=300, frozen=True) as sim:
        yield sim


@pytest.fixture
def mill(sim: coinmill.Sim, database: str) -> coinmill.Mill:
    """A mill for the market and the fresh database, with its tables made."""
    mill = coinmill.Mill(**sim.settings, snapshot_url=database, top=50)
    mill.init()
    return mill
