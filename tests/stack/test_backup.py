"""A stack is saved while it runs, deleted, and made again from the backup, with the commands of docs/operations.md."""

from __future__ import annotations

import json
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from airflow_rest import SNAPSHOT, TIMESERIES, wait_for
from backup import DATABASES, ENVIRONMENT, LANDING, backup, require_empty
from compose import Compose
from deployment import Deployment, Undisturbed, rewrite
from environment import Environment, Refused, fernet
from harm import landed
from tally import slow

# every table and schema with its owner and who may do what with it
RIGHTS = """
    select c.relkind, n.nspname, c.relname, pg_get_userbyid(c.relowner), c.relacl
    from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname !~ '^(pg_|information_schema)'
    union all
    select 'n', nspname, '', pg_get_userbyid(nspowner), nspacl from pg_namespace where nspname !~ '^pg_(toast_)?temp'
    order by 1, 2, 3
"""


def replayed(deployment: Deployment, run: str) -> dict[str, object]:
    """What a replay reports; its exit code is 0 only where every row is the same."""
    said = deployment.docker_compose("run", "--rm", "-T", "tools", "coinmill", "replay", run, "--json")
    report: dict[str, object] = json.loads(said)
    return report


def test_a_stack_made_of_a_backup_alone_resumes_replays_and_goes_on(
    deployment: Deployment, twin: Undisturbed, tmp_path: Path
) -> None:
    first = deployment.airflow.runs()[0]["dag_run_id"]
    runs = [deployment.airflow.xcom(first, task)["run"] for task in (SNAPSHOT, TIMESERIES)]
    replays = [replayed(deployment, run) for run in runs]
    rights = {database: deployment.psql(database, RIGHTS) for database in DATABASES}
    folder = tmp_path / "backup"

    # a run is under way, in the middle of its charts
    deployment.control("/faults", "POST", ["stall:times=0,after=10,path=market_chart"])
    before = charts_landed(deployment)
    run = deployment.next_slot()
    wait_for("ten charts", lambda: charts_landed(deployment) == before + 10)
    deployment.keep_clock()
    saved = deployment.make("backup", "--to", str(folder))
    assert saved.returncode == 0, saved.stdout + saved.stderr
    assert deployment.airflow.task(run, TIMESERIES)["state"] == "running"
    assert {path.name for path in folder.iterdir()} == {*(f"{one}.dump" for one in DATABASES), LANDING, ENVIRONMENT}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    refused(deployment, "is there already: name a new folder", "backup", "--to", str(folder))
    refused(deployment, "stop it first", "restore", "--from", str(folder))

    # another machine has neither the volumes, nor `.env` and what is made of it
    deployment.purge()
    shutil.rmtree(deployment.env["STACK_SECRETS"])
    deployment.env.path.unlink()
    subprocess.run(["install", "-m", "600", folder / ENVIRONMENT, deployment.env.path], check=True)
    restored = deployment.make("restore", "--from", str(folder))
    assert restored.returncode == 0, restored.stdout + restored.stderr
    deployment.up()
    assert deployment.airflow.run(run)["state"] == "success"
    charts = [call for call in deployment.control("/calls")["log"] if "market_chart" in call["path"]]
    assert len(charts) == 10, "charts that were paid for were asked for again"
    twin.run(deployment.now)
    assert deployment.content() == twin.content()
    assert {database: deployment.psql(database, RIGHTS) for database in DATABASES} == rights
    assert [replayed(deployment, run) for run in runs] == replays

    assert deployment.airflow.end_of(deployment.next_slot()) == "success"
    twin.run(deployment.now)
    assert deployment.content() == twin.content()


def charts_landed(deployment: Deployment) -> int:
    return sum(count for path, count in landed(deployment).items() if "market_chart" in path)


@slow
def test_a_backup_of_a_stopped_stack_that_fails_leaves_nothing_running(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment.keep_clock()
    assert deployment.make("down").returncode == 0
    monkeypatch.setattr("backup.DATABASES", ("nothing_of_this_name",))
    with pytest.raises(Refused, match="nothing_of_this_name"):
        backup(Compose(deployment.env), tmp_path / "backup", print)
    assert deployment.compose.containers(stopped=True, one_shots=True) == []
    # and it can be saved, and started again, as it was
    assert deployment.make("backup", "--to", str(tmp_path / "whole")).returncode == 0
    deployment.up()


def test_a_backup_that_is_not_whole_or_of_another_key_is_refused(deployment: Deployment, tmp_path: Path) -> None:
    refused(deployment, "no whole backup: it lacks airflow.dump", "restore", "--from", str(tmp_path))
    for name in (*(f"{one}.dump" for one in DATABASES), LANDING):
        (tmp_path / name).touch()
    other = re.sub("(?<=AIRFLOW_FERNET_KEY=).*", fernet(), deployment.env.path.read_text())
    (tmp_path / ENVIRONMENT).touch(mode=0o600)
    (tmp_path / ENVIRONMENT).write_text(other)
    refused(deployment, "has another AIRFLOW_FERNET_KEY", "restore", "--from", str(tmp_path))


def test_databases_that_hold_something_are_not_overwritten(deployment: Deployment) -> None:
    with pytest.raises(Refused, match=r"the database airflow is not empty, .* make stack-purge ENV=.* deletes what is"):
        require_empty(deployment.compose)


def test_a_purge_does_not_claim_to_delete_databases_on_another_server(deployment: Deployment, tmp_path: Path) -> None:
    path = tmp_path / deployment.env.path.name
    path.touch(mode=0o600)
    path.write_text(deployment.env.path.read_text())
    # by the name that it has in the stack's network
    rewrite(path, {"POSTGRES_HOST": "postgres"})
    managed = Compose(Environment.open(path))
    drop = "run --rm db-init psql -d postgres -c 'drop database airflow' deletes it on postgres"
    with pytest.raises(Refused, match=drop):
        require_empty(managed)
    said = Deployment(managed.env, 0).make("purge", answer="no\n")
    assert (said.returncode, said.stderr) == (1, "stack: nothing was deleted\n")
    assert "The databases on postgres stay" in said.stdout


def refused(deployment: Deployment, why: str, what: str, *arguments: str) -> None:
    done = deployment.make(what, *arguments)
    assert (done.returncode, why in done.stderr) == (1, True), done.stdout + done.stderr
