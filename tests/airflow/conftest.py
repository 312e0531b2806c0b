"""What the tests under Airflow share: a home of their own, the DAG, and databases for it.

They run in the environment that has Airflow: `.venv-airflow/bin/python -m pytest tests/airflow`; elsewhere they are not
collected. What `tests/conftest.py` gives is here as well.
"""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import pytest

import coinmill

ROOT = Path(__file__).parents[2]

# this folder is itself found as a package without a file, where there is no Airflow
found = find_spec("airflow")
installed = found is not None and found.origin is not None
if not installed:
    collect_ignore_glob = ["test_*.py"]


def pytest_configure(config: pytest.Config) -> None:
    """Airflow reads its home and its settings while it is imported."""
    if not installed:
        return
    # warnings of Airflow's own are no errors of ours; those of the DAG are in its bag
    config.addinivalue_line("filterwarnings", "default")
    config.addinivalue_line("filterwarnings", "ignore:Using `httpx`")
    home = TemporaryDirectory(prefix="coinmill-airflow-", ignore_cleanup_errors=True)
    config.add_cleanup(home.cleanup)
    for name in [name for name in os.environ if name.startswith("AIRFLOW") or name == "COINMILL_SCHEDULE"]:
        del os.environ[name]
    os.environ["AIRFLOW_HOME"] = home.name
    os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(ROOT / "dags")
    os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"


@pytest.fixture(scope="session")
def metadata() -> None:
    """Airflow's own database, in SQLite."""
    command = [sys.executable, "-m", "airflow", "db", "migrate"]
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture
def dag() -> Any:
    """The DAG, as read from its file."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(dag_folder=str(ROOT / "dags" / "crypto_market.py"))
    assert (bag.import_errors, bag.captured_warnings) == ({}, {})
    return bag.dags["crypto_market"]


@pytest.fixture(scope="session")
def fresh_database(administrator: str) -> Callable[[str], str]:
    """Makes a database on the cluster and returns its URL."""

    def create(name: str) -> str:
        unique = f"{name}_{uuid.uuid4().hex}"
        command = [os.environ["COINMILL_TEST_PSQL"], "-qX", administrator, "-c", f"create database {unique}"]
        subprocess.run(command, check=True, capture_output=True)
        fresh: str = urlsplit(administrator)._replace(path=f"/{unique}").geturl()
        return fresh

    return create


@pytest.fixture(scope="session")
def count() -> Callable[[dict[str, str]], tuple[int, int]]:
    """How many quotes and price points the databases of a deployment hold."""

    def rows(url: str, table: str) -> int:
        command = [os.environ["COINMILL_TEST_PSQL"], "-qtAX", url, "-c", f"select count(*) from {table}"]
        return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    return lambda deployment: (
        rows(deployment["COINMILL_SNAPSHOT_URL"], "snapshot.quote"),
        rows(deployment["COINMILL_TIMESERIES_URL"], "timeseries.price_point"),
    )


@pytest.fixture(scope="session")
def deploy(fresh_database: Callable[[str], str]) -> Callable[[coinmill.Sim, Path], dict[str, str]]:
    """Makes both databases with their tables, for a market, and returns the variables that name them to a task."""

    def variables(sim: coinmill.Sim, folder: Path) -> dict[str, str]:
        urls = {"snapshot_url": fresh_database("snapshot"), "timeseries_url": fresh_database("timeseries")}
        settings: dict[str, Any] = {**sim.settings, **urls, "data_dir": folder, "top": 20}
        coinmill.Mill(**settings).init()
        return {f"COINMILL_{name.upper()}": str(value) for name, value in settings.items()}

    return variables
