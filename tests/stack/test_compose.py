"""Compose 1.29, which Debian 12 has, reads the same stack out of `docker-compose.yml` as Compose 2."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from compose import ALL_PROFILES, Compose
from deployment import write_environment

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
