"""What `make stack` says when something is not as it should be: one line, with the remedy, and nothing is lost."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from deployment import Deployment, write_environment
from environment import ROOT, Environment
from tally import slow

Changes = dict[str, str]


@pytest.fixture
def env(tmp_path: Path) -> Environment:
    return write_environment(tmp_path)[0]


def refusal(path: Path, *arguments: str, **environ: str) -> str:
    """The one line that `make stack` ends with, where it refuses before it starts anything."""
    done = subprocess.run(
        [sys.executable, "docker/stack", "up", "--env", str(path), *arguments],
        cwd=ROOT,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"stack: .+\n", done.stderr), done.stderr
    return done.stderr


def rewrite(env: Environment, name: str, line: str) -> None:
    """Puts another line for a setting, or none."""
    lines = [old for old in env.path.read_text().splitlines() if old.partition("=")[0] != name]
    env.path.write_text("\n".join([*lines, line]) + "\n")


def test_no_daemon(env: Environment, tmp_path: Path) -> None:
    said = refusal(env.path, DOCKER_HOST=f"unix://{tmp_path / 'none.sock'}")
    assert "no Docker daemon answers: start it (sudo systemctl start docker" in said


def test_no_docker(env: Environment, tmp_path: Path) -> None:
    assert "Docker is not installed: on Debian or Ubuntu, apt install" in refusal(env.path, PATH=str(tmp_path))


def test_no_buildkit(env: Environment, tmp_path: Path) -> None:
    plugins = tmp_path / "cli-plugins"
    plugins.mkdir()
    compose = Path(os.environ.get("DOCKER_CONFIG", Path.home() / ".docker"), "cli-plugins", "docker-compose")
    if not compose.exists() or not newer_than_22():
        pytest.skip("this machine's docker builds with BuildKit without the plugin, or has its plugins elsewhere")
    (plugins / "docker-compose").symlink_to(compose)
    said = refusal(env.path, DOCKER_CONFIG=str(tmp_path))
    assert "BuildKit is missing" in said
    assert "install the package docker-buildx" in said


def newer_than_22() -> bool:
    command = ["docker", "version", "-f", "{{.Client.Version}}"]
    version = subprocess.run(command, capture_output=True, text=True).stdout
    return int(version.split(".")[0]) >= 23


def test_a_port_that_another_program_has(env: Environment) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", env.port))
        other.listen()
        assert f"port {env.port} is taken by another program: choose a free one as STACK_PORT in" in refusal(env.path)


@pytest.mark.parametrize(
    ("name", "line", "remedy"),
    [
        ("COINMILL_WRITER_PASSWORD", "", "lacks COINMILL_WRITER_PASSWORD: restore it from your copy, or add new ones"),
        ("AIRFLOW_FERNET_KEY", "AIRFLOW_FERNET_KEY=", "openssl rand -base64 32"),
        ("POSTGRES_PASSWORD", "POSTGRES_PASSWORD=p@ss word", "may have letters, digits, - and _ only"),
        ("STACK_PORT", "STACK_PORT=http", "STACK_PORT is http: give a number from 1 to 65535"),
        ("STACK_PORT", "STACK_PORT=99999", "STACK_PORT is 99999: give a number from 1 to 65535"),
        ("STACK_WORKERS", "STACK_WORKERS=two", "STACK_WORKERS=two is no number"),
        ("STACK_PORT", "STACK_PORT 8080", "write NAME=VALUE"),
    ],
)
def test_an_environment_that_is_not_whole(env: Environment, name: str, line: str, remedy: str) -> None:
    rewrite(env, name, line)
    said = refusal(env.path)
    assert remedy in said
    assert "p@ss" not in said


def test_an_environment_that_others_may_read(env: Environment) -> None:
    env.path.chmod(0o644)
    assert f"others may read it: chmod 600 {env.path}" in refusal(env.path)


def test_an_environment_where_nothing_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / "none" / ".env"
    assert "cannot be written (No such file or directory)" in refusal(path)


@pytest.mark.parametrize("port", ["99999", "-1"])
def test_a_port_that_there_is_not_is_not_written(tmp_path: Path, port: str) -> None:
    path = tmp_path / ".env"
    assert f"the port is {port}: give a number from 1 to 65535" in refusal(path, "--port", port)
    assert not path.exists()


@pytest.mark.parametrize("what", ["down", "purge"])
def test_without_docker_nothing_can_be_stopped(env: Environment, tmp_path: Path, what: str) -> None:
    done = Deployment(env, 0).make(what, answer=env.project + "\n", PATH=str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"stack: Docker is not installed: .*\n", done.stderr)


@pytest.mark.parametrize(("target", "name"), [("stack-backup", "TO"), ("stack-restore", "FROM")])
def test_make_says_which_folder_it_lacks(env: Environment, target: str, name: str) -> None:
    command = ["make", "-s", target, f"ENV={env.path}", f"PYTHON={sys.executable}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.stderr.startswith("stack: name ")
    assert f"make {target} {name}=backups/" in done.stderr.splitlines()[0]


def test_an_environment_of_another_sort_of_stack(tmp_path: Path) -> None:
    real = Environment.write(tmp_path / ".env", sim=False, workers=0, port=None)
    assert "no place for a simulated market's numbers" in refusal(real.path, "--sim")
    assert "says STACK_PORT=8080: change it there" in refusal(real.path, "--port", "8081")
    assert "says STACK_WORKERS=0: change it" in refusal(real.path, "--workers", "3")


def test_new_environments_hold_other_passwords_and_are_closed(tmp_path: Path) -> None:
    one, other = (
        Environment.write(tmp_path / name, sim=False, workers=0, port=None) for name in (".env", ".env.other")
    )
    assert one.path.stat().st_mode & 0o777 == 0o600
    assert one["COINMILL_WRITER_PASSWORD"] != other["COINMILL_WRITER_PASSWORD"]
    assert (one.project, other.project) == ("coinmill", "coinmill-other")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A stack whose landing and databases lie on small disks, the landing's full at once; not started."""
    files = "docker-compose.yml:tests/stack/market.yml:tests/stack/full_disk.yml"
    disk = tmp_path_factory.mktemp("disk")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400m", "tmpfs", disk], check=True)
    environment = write_environment(tmp_path_factory.mktemp("bad"), COMPOSE_FILE=files, TEST_DISK=str(disk))
    deployment = Deployment(*environment)
    yield deployment
    deployment.purge()
    subprocess.run(["umount", disk], check=True)


def test_a_full_disk_is_said_and_the_run_goes_on_when_there_is_space(stack: Deployment) -> None:
    command = [sys.executable, "docker/stack", "up", "--env", str(stack.env.path)]
    environ = {**os.environ, "WHEEL": "prebuilt"}
    with subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True) as up:
        assert up.stdout
        said = next(line for line in up.stdout if "up for retry" in line)
        assert "run_market_timeseries: up for retry: " in said
        assert "free some space" in said
        volume = ["docker", "volume", "inspect", "-f", "{{.Mountpoint}}", f"{stack.env.project}_landing"]
        place = subprocess.run(volume, check=True, capture_output=True, text=True).stdout.strip()
        subprocess.run(["mount", "-o", "remount,size=64m", place], check=True)
        rest = up.stdout.read()
    assert up.returncode == 0, rest
    assert "run_market_timeseries: complete" in rest
    assert re.search(r"run_market_listing: complete, [\d,]+ listed coins stored, [01] calls?$", rest, re.MULTILINE)


@pytest.mark.parametrize("answer", ["", "yes\n", "{project} now\n"])
def test_a_purge_that_is_not_confirmed_deletes_nothing(stack: Deployment, answer: str) -> None:
    before = [one["Id"] for one in stack.compose.containers()]
    done = stack.make("purge", answer=answer.format(project=stack.env.project))
    assert (done.returncode, done.stderr) == (1, "stack: nothing was deleted\n")
    assert [one["Id"] for one in stack.compose.containers()] == before
    assert stack.psql("airflow_snapshot", "select count(*) from snapshot.quote") == "20"


def test_a_port_that_another_program_has_is_said_while_the_stack_runs_on_its_old_one(stack: Deployment) -> None:
    port = stack.env["STACK_PORT"]
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        rewrite(stack.env, "STACK_PORT", f"STACK_PORT={other.getsockname()[1]}")
        said = refusal(stack.env.path)
    rewrite(stack.env, "STACK_PORT", f"STACK_PORT={port}")
    assert "is taken by another program: choose a free one as STACK_PORT in" in said


@slow
def test_a_full_disk_of_the_databases_is_said_and_the_stack_goes_on_when_there_is_space(stack: Deployment) -> None:
    filler = Path(stack.env["TEST_DISK"], "filler")
    with contextlib.suppress(OSError), filler.open("wb") as file:
        while True:
            file.write(bytes(1 << 20))
            file.flush()
    # a run while PostgreSQL still goes on, beside Airflow, whose own database is on that disk
    command = ["run", "--rm", "-T", "--no-deps", "scheduler", "coinmill", "backfill", "--days", "30"]
    variables = stack.compose.variables
    run = subprocess.run(stack.compose.command(*command), cwd=ROOT, env=variables, capture_output=True, text=True)
    assert run.returncode != 0
    assert re.search(r"coinmill: the disk of postgresql://\S+ is full: free some space: ", run.stderr), run.stderr

    assert stack.make("down").returncode == 0
    full = stack.make("up")
    assert full.returncode == 1
    remedy = r"stack: postgres does not stay up: .*No space left on device.* Free space on the disk of Docker's .*\n$"
    assert re.search(remedy, full.stderr), full.stderr
    filler.unlink()
    stack.up()
    assert stack.psql("airflow_snapshot", "select count(*) from snapshot.quote") == "20"


def test_a_database_that_is_newer_than_the_program(stack: Deployment) -> None:
    migrations = "snapshot._sqlx_migrations"
    later = (
        f"insert into {migrations} select 9999, 'later', now(), true, checksum, 0 from {migrations} where version = 1"
    )
    stack.psql("airflow_snapshot", later)
    done = stack.make("up")
    stack.psql("airflow_snapshot", f"delete from {migrations} where version = 9999")
    assert done.returncode == 1
    assert re.search(
        r"stack: coinmill-init failed: .* is version 9999, and this coinmill knows \d+: upgrade coinmill\n$",
        done.stderr,
    )


def test_a_database_of_airflow_that_is_newer_than_the_image(stack: Deployment) -> None:
    version = stack.psql("airflow", "select version_num from alembic_version")
    stack.psql("airflow", "update alembic_version set version_num = 'ffffffffffff'")
    done = stack.make("up")
    stack.psql("airflow", f"update alembic_version set version_num = '{version}'")
    assert done.returncode == 1
    newer = r"stack: airflow-init failed: Airflow's database is of a newer version than this image: check out .*\n$"
    assert re.search(newer, done.stderr)


def test_a_volume_that_was_made_with_another_password(stack: Deployment) -> None:
    other = stack.env["POSTGRES_PASSWORD"]
    rewrite(stack.env, "POSTGRES_PASSWORD", "POSTGRES_PASSWORD=another")
    done = stack.make("up")
    rewrite(stack.env, "POSTGRES_PASSWORD", f"POSTGRES_PASSWORD={other}")
    assert done.returncode == 1
    assert re.search(
        r"stack: db-init failed: PostgreSQL's volume was made with another POSTGRES_PASSWORD .*\n$", done.stderr
    )
    # and with the right one it goes on, with all it had
    assert "a snapshot is stored as COINMILL_SCHEDULE=0 0 1 1 * says" in stack.up()
    assert stack.psql("airflow_snapshot", "select count(*) from snapshot.quote") == "20"
