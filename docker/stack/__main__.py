"""The stack on this machine: `make stack` and the other `make stack-…` call this.

    python3 docker/stack up [--env FILE] [--sim] [--workers N] [--port N]
    python3 docker/stack env [--env FILE] [--sim] [--workers N] [--port N]
    python3 docker/stack down|purge [--env FILE]
    python3 docker/stack backup --to FOLDER [--env FILE]
    python3 docker/stack restore --from FOLDER [--env FILE]
    python3 docker/stack kubernetes [--env FILE]

Settings and passwords lie in one file, `.env`, written once. What each service has to know of it is made from it as
files of its own (docker-compose.yml says why). Needs Docker, and of Python the standard library only.
"""

from __future__ import annotations

import argparse
import sys
from datetime import datetime, timezone
from pathlib import Path

from airflow_api import Airflow
from backup import backup, restore
from compose import Compose
from environment import Environment, Refused
from kubernetes import manifests

PATIENCE = 300  # seconds until every service is healthy; a slow machine takes one minute
RUN_PATIENCE = 30 * 60  # seconds for the first run, which may wait for a plan's calls


def up(env: Environment) -> None:
    """Builds, starts, waits until all is healthy and a run is green, and says where everything is."""
    compose = Compose(env)
    compose.check()
    compose.require_port(env.port)
    changed = env.write_secrets()
    say("building the image (the first time takes minutes)")
    compose.build()
    say("starting")
    compose.stop_older()
    compose.up(recreate=changed)
    started = datetime.now(timezone.utc)
    compose.wait_until_healthy(PATIENCE, say)
    say("all services are healthy; waiting for a green run")
    run = Airflow(env.url, env["AIRFLOW_USER"], env["AIRFLOW_PASSWORD"]).wait_for_green_run(started, RUN_PATIENCE, say)
    print(
        f"""
{run}
a snapshot is stored {env.how_often}:  {env.url}
  user                {env["AIRFLOW_USER"]}; the password is AIRFLOW_PASSWORD in {env.shown}
  the data            the volumes {env.project}_postgres (databases) and {env.project}_landing (the received bytes)
  look at it          {compose.shown} run --rm tools coinmill status
  stop, keep all      make stack-down{env.make_suffix}
  stop, delete all    make stack-purge{env.make_suffix}"""
    )


def down(env: Environment) -> None:
    """Stops and keeps all data."""
    compose = Compose(env)
    compose.check_docker()
    compose.down()
    say(f"stopped; the data is kept. Start again: make stack{env.make_suffix}")


def purge(env: Environment) -> None:
    """Stops and deletes all data, once it was confirmed."""
    compose = Compose(env)
    compose.check_docker()
    if env.server_of_its_own:
        print(f"This deletes the received bytes and the logs of the stack {env.project}, for good.")
        print(f"The databases on {env['POSTGRES_HOST']} stay: their administrator deletes them there.")
    else:
        print(f"This deletes the databases, the received bytes and the logs of the stack {env.project}, for good.")
    print(f"Type {env.project} to go on: ", end="", flush=True)
    if sys.stdin.readline().strip() != env.project:
        raise Refused("nothing was deleted")
    compose.down("--volumes")
    say(f"deleted; {env.shown} with its passwords is kept, for the next `make stack{env.make_suffix}`")


def checked(path: Path) -> Compose:
    compose = Compose(Environment.open(path))
    compose.check()
    return compose


def folder(given: str, what: str, example: str) -> Path:
    if not given:
        raise Refused(f"name {what}: {example}")
    return Path(given)


def say(line: str) -> None:
    print(f"stack: {line}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("what", choices=["env", "up", "down", "purge", "backup", "restore", "kubernetes"])
    parser.add_argument("--env", type=Path, default=Path(".env"), help="the stack's settings [default: .env]")
    parser.add_argument("--sim", action="store_true", help="a simulated market, offline")
    parser.add_argument("--workers", type=int, help="Celery with so many workers [default: none]")
    parser.add_argument("--port", type=int, help="the port of Airflow's pages [default: 8080]")
    parser.add_argument("--to", default="", help="a new folder for the backup")
    parser.add_argument("--from", default="", dest="source", help="the folder of a backup")
    asked = parser.parse_args()
    try:
        if asked.what in {"env", "up"}:
            new = not asked.env.exists()
            env = Environment.open_or_write(asked.env, sim=asked.sim, workers=asked.workers, port=asked.port)
            if new:
                say(f"wrote {env.shown} with passwords of its own (mode 600)")
            if asked.what == "up":
                up(env)
        elif asked.what == "backup":
            backup(checked(asked.env), folder(asked.to, "a new folder", "make stack-backup TO=backups/1"), say)
        elif asked.what == "restore":
            source = folder(asked.source, "the folder of a backup", "make stack-restore FROM=backups/1")
            restore(checked(asked.env), source, say)
        elif asked.what == "kubernetes":
            print(manifests(Environment.open(asked.env)))
        else:
            {"down": down, "purge": purge}[asked.what](Environment.open(asked.env))
    except Refused as refusal:
        print(f"stack: {refusal}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        say("interrupted; what was started goes on")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
