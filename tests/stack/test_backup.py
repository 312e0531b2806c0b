"""A stack is saved while it runs, deleted, and made again from the backup, with the commands of docs/operations.md."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path

import pytest
from airflow_rest import SNAPSHOT, TIMESERIES
from backup import DATABASES, ENVIRONMENT, LANDING, require_empty
from deployment import Deployment, Undisturbed
from environment import Refused, fernet

# every table and schema with its owner and who may do what with it
RIGHTS = """
    select c.relkind, n.nspname, c.relname, pg_get_userbyid(c.relowner), c.relacl
    from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname !~ '^(pg_|information_schema)'
    union all
    select 'n', nspname, '', pg_get_userbyid(nspowner), nspacl from pg_namespace where nspname !~ '^pg_temp'
    order by 1, 2, 3
"""


def replayed(deployment: Deployment, run: str) -> dict[str, object]:
    """What a replay reports; its exit code is 0 only where every row is the same."""
    said = deployment.docker_compose("run", "--rm", "-T", "tools", "coinmill", "replay", run, "--json")
    report: dict[str, object] = json.loads(said)
    return report


def test_a_restored_stack_replays_its_old_runs_and_goes_on(
    deployment: Deployment, twin: Undisturbed, tmp_path: Path
) -> None:
    first = deployment.airflow.runs()[0]["dag_run_id"]
    runs = [deployment.airflow.xcom(first, task)["run"] for task in (SNAPSHOT, TIMESERIES)]
    replays = [replayed(deployment, run) for run in runs]
    rights = {database: deployment.psql(database, RIGHTS) for database in DATABASES}
    folder = tmp_path / "backup"

    saved = deployment.make("backup", "--to", str(folder))
    assert saved.returncode == 0, saved.stdout + saved.stderr
    assert {path.name for path in folder.iterdir()} == {*(f"{one}.dump" for one in DATABASES), LANDING, ENVIRONMENT}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    refused(deployment, "is there already", "backup", "--to", str(folder))
    refused(deployment, "stop it first", "restore", "--from", str(folder))

    deployment.purge()
    restored = deployment.make("restore", "--from", str(folder))
    assert restored.returncode == 0, restored.stdout + restored.stderr
    deployment.up()
    assert deployment.airflow.runs()[0]["dag_run_id"] == first
    assert deployment.content() == twin.content()
    assert {database: deployment.psql(database, RIGHTS) for database in DATABASES} == rights
    assert [replayed(deployment, run) for run in runs] == replays

    assert deployment.airflow.end_of(deployment.next_slot()) == "success"
    twin.run(deployment.now)
    assert deployment.content() == twin.content()


def test_a_backup_that_is_not_whole_or_of_another_key_is_refused(deployment: Deployment, tmp_path: Path) -> None:
    refused(deployment, "no whole backup: it lacks airflow.dump", "restore", "--from", str(tmp_path))
    for name in (*(f"{one}.dump" for one in DATABASES), LANDING):
        (tmp_path / name).touch()
    other = re.sub("(?<=AIRFLOW_FERNET_KEY=).*", fernet(), deployment.env.path.read_text())
    (tmp_path / ENVIRONMENT).touch(mode=0o600)
    (tmp_path / ENVIRONMENT).write_text(other)
    refused(deployment, "has another AIRFLOW_FERNET_KEY", "restore", "--from", str(tmp_path))


def test_databases_that_hold_something_are_not_overwritten(deployment: Deployment) -> None:
    with pytest.raises(Refused, match="the database airflow is not empty, and nothing is overwritten"):
        require_empty(deployment.compose)


def refused(deployment: Deployment, why: str, what: str, *arguments: str) -> None:
    done = deployment.make(what, *arguments)
    assert (done.returncode, why in done.stderr) == (1, True), done.stdout + done.stderr
