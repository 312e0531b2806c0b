"""The tests of the stack need Docker and base images; `make stack-test` sees to both. Else they are not collected."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

if "COINMILL_TEST_STACK" not in os.environ:
    collect_ignore_glob = ["test_*.py"]
else:
    from deployment import Deployment, Undisturbed, deployed, undisturbed


@pytest.fixture(autouse=True)
def clean_environment() -> None:
    """What is set outside reaches no container: compose reads the stack's own `.env`."""


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A stack whose first run is green."""
    with deployed(tmp_path_factory.mktemp("stack")) as running:
        yield running


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory, deployment: Deployment) -> Iterator[Undisturbed]:
    """The same first run on this machine."""
    with undisturbed(tmp_path_factory.mktemp("twin")) as same:
        same.run(deployment.now)
        yield same
