"""A copy of everything that a stack keeps, taken while it runs, and a stack made from one.

A backup is a folder: a dump of each database, the received bytes, and `.env`, without whose passwords and keys the rest
is of little use.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from compose import Compose
from environment import ROOT, Environment, Refused

# The order matters while runs go on, for each refers to later ones only: Airflow calls a task done once its rows are
# stored, points belong to the coins of a snapshot, and a row is committed once its bytes are in the landing. So a
# backup holds at worst what a kill at that moment would have left, and the next run resumes from there.
DATABASES = ("airflow", "airflow_timeseries", "airflow_snapshot")
LANDING = "landing.tar"
ENVIRONMENT = "env"
FOLDER = "/var/lib/coinmill"


def backup(compose: Compose, to: Path, say: Callable[[str], None]) -> None:
    """Writes a new folder, which gets its name once it is whole."""
    if to.exists():
        raise Refused(f"{to} is there already: name a new folder")
    part = to.with_name(f"{to.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(mode=0o700, parents=True)
        runs = bool(compose.containers())
        try:
            if not runs:
                compose.env.write_secrets()
                as_administrator(compose)
            for database in DATABASES:
                as_administrator(compose, "pg_dump", "-Fc", "-d", database, to=part / f"{database}.dump")
                say(f"{database}: {size(part / f'{database}.dump')}")
            # a body is written under another name first; a run's list of bodies may grow meanwhile, which is tar's 1
            command = ["tar", "-c", "-C", FOLDER, "--exclude=*.part", "."]
            on_landing(compose, *command, to=part / LANDING, good=(0, 1))
            say(f"landing: {size(part / LANDING)}")
        finally:
            if not runs:
                compose.down()
        copy = part / ENVIRONMENT
        copy.touch(mode=0o600)
        copy.write_text(compose.env.path.read_text())
        part.rename(to)
    except OSError as error:
        raise Refused(f"{error.filename} cannot be written ({error.strerror})") from error
    say(f"saved in {to}, with the passwords and keys of {compose.env.shown}: keep it where nobody else can read it")


def restore(compose: Compose, source: Path, say: Callable[[str], None]) -> None:
    """Fills the databases and the landing of a stack that does not run and whose databases are empty."""
    needed = [*(f"{database}.dump" for database in DATABASES), LANDING]
    missing = [name for name in needed if not (source / name).is_file()]
    if missing:
        raise Refused(f"{source} is no whole backup: it lacks {', '.join(missing)}")
    require_same_key(compose.env, source / ENVIRONMENT)
    suffix = compose.env.make_suffix
    if compose.containers():
        raise Refused(f"the stack {compose.env.project} runs: stop it first (make stack-down{suffix})")
    compose.env.write_secrets()
    compose.build()
    try:
        as_administrator(compose)
        require_empty(compose)
        for database in DATABASES:
            # roles and databases come from db-init; owners and grants of what is in them come with the dump
            options = ["--clean", "--if-exists", "--single-transaction", "--exit-on-error", "-d", database]
            as_administrator(compose, "pg_restore", *options, source=source / f"{database}.dump")
            say(f"{database} is restored")
        # a landing that is still there has the same files and newer ones
        on_landing(compose, "tar", "-x", "-C", FOLDER, "--skip-old-files", source=source / LANDING)
        say("the landing is restored")
    finally:
        compose.down()
    say(f"restored. Start it: make stack{suffix}")


def require_same_key(env: Environment, saved: Path) -> None:
    """Refuses another key than the one with which Airflow has encrypted connections and variables."""
    if not saved.exists():
        return
    key = Environment.open(saved)["AIRFLOW_FERNET_KEY"].split(",")[0]
    if key not in env["AIRFLOW_FERNET_KEY"].split(","):
        raise Refused(
            f"{env.shown} has another AIRFLOW_FERNET_KEY than {saved}, and what Airflow has encrypted would be lost:"
            f" copy that line, or the whole file (cp {saved} {env.shown})"
        )


def require_empty(compose: Compose) -> None:
    count = "select count(*) from pg_tables where schemaname not in ('pg_catalog', 'information_schema')"
    for database in DATABASES:
        if as_administrator(compose, "psql", "-qtAX", "-d", database, "-c", count).strip() != "0":
            raise Refused(
                f"the database {database} is not empty, and nothing is overwritten: {emptying(compose, database)}"
            )


def emptying(compose: Compose, database: str) -> str:
    """How a database is emptied whose content nobody needs."""
    if compose.env.server_of_its_own:
        drop = f"{compose.shown} run --rm db-init psql -d postgres -c 'drop database {database}'"
        return f"{drop} deletes it on {compose.env['POSTGRES_HOST']}"
    return f"make stack-purge{compose.env.make_suffix} deletes what is there"


def as_administrator(compose: Compose, *command: str, source: Path | None = None, to: Path | None = None) -> str:
    """What one of PostgreSQL's programs prints. db-init knows the server and its administrator.

    Without a command it does its own work, and the server is started for it.
    """
    return streamed(compose, [*(["--no-deps"] if command else []), "db-init", *command], source, to)


def on_landing(
    compose: Compose, *command: str, source: Path | None = None, to: Path | None = None, good: tuple[int, ...] = (0,)
) -> None:
    """Runs a command as the user to whom the landing belongs."""
    streamed(compose, ["--no-deps", "scheduler", *command], source, to, good)


def streamed(
    compose: Compose, arguments: list[str], source: Path | None, to: Path | None, good: tuple[int, ...] = (0,)
) -> str:
    """Runs a container of its own from one file into another, without anything in between."""
    with (source or Path("/dev/null")).open("rb") as given, (to or Path("/dev/null")).open("wb") as taken:
        done = subprocess.run(
            compose.command("run", "--rm", "-T", *arguments),
            cwd=ROOT,
            env=compose.variables,
            stdin=given,
            stdout=taken if to else subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    if done.returncode not in good:
        said = [line for line in done.stderr.decode(errors="replace").splitlines() if line.strip()]
        raise Refused(f"{arguments[-1]}: {said[-1] if said else 'it failed and said nothing'}")
    return "" if to else done.stdout.decode()


def size(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:,.1f} MB"
