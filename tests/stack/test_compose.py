"""Compose 1.29, which Debian 12 has, reads the same stack out of `docker-compose.yml` as Compose 2, and runs it."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from airflow_rest import wait_for
from compose import ALL_PROFILES, Compose
from deployment import Deployment, write_environment
from environment import ROOT
from tally import slow

OLDER = os.environ.get("COMPOSE_1", "")


def read(compose: Compose, *command: str, **more: str) -> str:
    done = subprocess.run(
        command, env={**compose.variables, "COMPOSE_PROFILES": ALL_PROFILES, **more}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def services(text: str) -> dict[str, dict[str, list[Any]]]:
    """Each service, its lists in one order: of secrets, volumes and ports it means nothing."""
    parsed = json.loads(text)["services"]
    for service in parsed.values():
        for name in ("ports", "secrets", "volumes"):
            service[name] = sorted(service.get(name) or [], key=json.dumps)
    return dict(parsed)


@pytest.mark.skipif(not OLDER, reason="this machine has no Compose 1.29")
@pytest.mark.parametrize("workers", [0, 3])
def test_both_versions_of_compose_read_the_same_stack(tmp_path: Path, workers: int) -> None:
    env, _ = write_environment(tmp_path, workers=workers)
    env.write_secrets()
    compose = Compose(env)
    options = ["--env-file", str(env.path), "-p", env.project]
    newer = services(read(compose, "docker", "compose", *options, "config", "--format", "json"))
    older = tmp_path / "older.yml"
    older.write_text(read(compose, OLDER, *options, "config"))
    # what 1.29 has read is written out by 2, so that the two differ in what they read only
    again = ["docker", "compose", "-p", env.project, "-f", str(older), "config", "--format", "json"]
    assert services(read(compose, *again)) == newer
    assert {"scheduler", "worker", "redis", "sim", "tools"} <= set(newer)


@pytest.fixture
def older(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    """A stack, not started, on a machine without Compose's plugin: 1.29 is then what is found."""
    if not OLDER:
        pytest.skip("this machine has no Compose 1.29")
    plugins = tmp_path / "cli-plugins"
    plugins.mkdir()
    buildx = Path(os.environ.get("DOCKER_CONFIG", Path.home() / ".docker"), "cli-plugins", "docker-buildx")
    if buildx.exists():
        (plugins / "docker-buildx").symlink_to(buildx)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("WHEEL", "prebuilt")
    deployment = Deployment(*write_environment(tmp_path))
    assert deployment.compose.program == ["docker-compose"]
    yield deployment
    deployment.purge()


@slow
def test_compose_1_starts_upgrades_and_stops_the_stack(older: Deployment) -> None:
    image = older.env["STACK_IMAGE"]
    older.env.write_secrets()
    older.compose.build()
    # an older image, to all appearances
    subprocess.run(["docker", "build", "-qt", image, "-"], input=f"FROM {image}\nLABEL older=1".encode(), check=True)
    older.compose.up(recreate=False)
    older.compose.wait_until_healthy(120, print)
    older.airflow.sign_in()
    first = wait_for("the first run", older.airflow.newest_runs)[0]["dag_run_id"]
    assert older.airflow.end_of(first) == "success"

    with events(older) as happened:
        older.up()
    before = happened[: happened.index("start coinmill-init")]
    old = {f"die {service}" for service in ("api-server", "scheduler", "dag-processor", "triggerer")}
    assert old <= set(before), "old services ran while tables were migrated"
    assert "die postgres" not in happened
    assert older.airflow.run(first)["state"] == "success"

    assert older.make("down").returncode == 0
    assert older.compose.containers(stopped=True, one_shots=True) == []
    older.up()
    assert older.psql("airflow_snapshot", "select count(*) from snapshot.quote") == "20"


@contextmanager
def events(deployment: Deployment) -> Iterator[list[str]]:
    """Which service's container starts or dies meanwhile, in order."""
    told = '{{.Action}} {{index .Actor.Attributes "com.docker.compose.service"}}'
    ours = f"label=com.docker.compose.project={deployment.env.project}"
    command = ["docker", "events", "-f", ours, "-f", "event=start", "-f", "event=die", "--format", told]
    happened: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as listening:
        try:
            yield happened
        finally:
            listening.terminate()
            assert listening.stdout
            happened += listening.stdout.read().splitlines()


def test_compose_passes_every_setting_of_the_readme() -> None:
    table = (ROOT / "README.md").read_text().partition("## Settings")[2].partition("## More")[0]
    named = set(re.findall(r"COINMILL_\w+", table))
    for name in re.findall(r"`(COINMILL_\w+|…_\w+)`", table):
        named.add(f"COINMILL_{name[2:]}" if name.startswith("…") else name)
    passed = set(re.findall(r"^  (COINMILL_\w+):", (ROOT / "docker-compose.yml").read_text(), re.MULTILINE))
    # in files, or of the image
    places = {"COINMILL_SNAPSHOT_URL", "COINMILL_TIMESERIES_URL", "COINMILL_BUDGET_URL", "COINMILL_LANDING_DIR"}
    elsewhere = {"COINMILL_API_KEY", *places}
    assert named - elsewhere <= passed


def test_kubernetes_has_the_settings_of_airflow_that_compose_has() -> None:
    compose = (ROOT / "docker-compose.yml").read_text()
    # by their nature of the one or the other
    apart = {"CORE__EXECUTOR", "CORE__EXECUTION_API_SERVER_URL", "API__BASE_URL", "API__WORKERS"}
    apart |= {"CORE__PARALLELISM", "CELERY__WORKER_CONCURRENCY"}
    wanted = re.findall(r'^  AIRFLOW__(\w+): "?([^"\n]+)"?$', compose, re.MULTILINE)
    values = (ROOT / "docker" / "helm-values.yaml").read_text().partition("\nconfig:\n")[2].partition("\n\n")[0]
    found, section = {}, ""
    for indent, name, value in re.findall(r'^( +)(\w+):(?: "?([^"\n]+)"?)?$', values, re.MULTILINE):
        if len(indent) == 2:
            section = name
        found[f"{section}__{name}".upper()] = value.lower()
    assert len(wanted) > 10
    assert {name: value.lower() for name, value in wanted if name not in apart}.items() <= found.items()
