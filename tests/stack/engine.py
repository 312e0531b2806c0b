"""A Docker engine that answers, with Compose 2 and buildx, on a Debian machine that may have none of them.

    python tests/stack/engine.py

installs and starts what is missing, and prints what the caller has to put into its environment as NAME=VALUE lines:

    DOCKER_CONFIG   the folder with the plugins, so that `docker compose` and `docker buildx` work
    DOCKER_BUILDKIT 1: the docker command of Debian 12 and Compose 1.29 else take the old builder
    COMPOSE_1       Compose 1.29, where the machine has it: the older of the two that the stack is tested with

It pulls nothing. Where an engine answers, both plugins work and the packages are installed, it changes nothing.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CACHE = Path(__file__).resolve().parents[2] / "target" / "stack"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SUITE = "trixie"
# the program whose absence tells that a package is missing; `docker-compose` is Compose 1.29 on Debian 12
PACKAGES = {
    "dockerd": "docker.io",
    "docker-compose": "docker-compose",
    "debootstrap": "debootstrap",
    "iptables": "iptables",
}
PLUGINS = ("docker-compose", "docker-buildx")
START_SECONDS = 60
# root's folders are not on everyone's path
PATH = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"


class Lacking(Exception):
    """What is missing, and how to get it, in one line."""


def call(*command: str | Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end. One that is not there fails like one that fails."""
    environ = {**os.environ, "PATH": PATH, "LC_ALL": "C.UTF-8", **(env or {})}
    program = shutil.which(command[0], path=PATH)
    if program is None:
        return subprocess.CompletedProcess(command, 127, "", f"{command[0]}: not found")
    return subprocess.run(
        [program, *command[1:]], env=environ, text=True, capture_output=True, stdin=subprocess.DEVNULL, check=False
    )


def last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it said nothing"])[-1]


def must(remedy: str, *command: str | Path, env: dict[str, str] | None = None) -> str:
    done = call(*command, env=env)
    if done.returncode:
        said = last_line(done.stderr or done.stdout)
        raise Lacking(f"`{' '.join(map(str, command[:3]))}` failed: {said}; {remedy}")
    return done.stdout


@contextmanager
def alone() -> Iterator[None]:
    """Two that prepare the same machine at once would install and start everything twice."""
    try:
        CACHE.mkdir(parents=True, exist_ok=True)
        lock = (CACHE / "lock").open("w")
    except PermissionError as refused:
        raise Lacking(f"{CACHE} belongs to another user: remove it, or be that user") from refused
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def refusal() -> str | None:
    """Why no engine answers; None where one does."""
    # `docker info` of some versions succeeds without an engine
    done = call("docker", "version", "--format", "{{.Server.Version}}")
    return last_line(done.stderr or done.stdout) if done.returncode else None


def on_debian() -> bool:
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def install() -> None:
    """What is missing of the packages."""
    missing = [package for program, package in PACKAGES.items() if shutil.which(program, path=PATH) is None]
    if not missing:
        return
    remedy = "install " + " ".join(missing) + " by hand"
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    must(remedy, "apt-get", "update", "-q")
    must(remedy, "apt-get", "install", "-q", "-y", "--no-install-recommends", *missing, env=quiet)


def start() -> None:
    """The engine, outliving this program."""
    if Path("/run/systemd/system").is_dir():
        # answers when the engine does
        must("see `journalctl -u docker`", "systemctl", "start", "docker")
        return
    log = CACHE / "dockerd.log"
    with log.open("wb") as out:
        engine = subprocess.Popen(
            [shutil.which("dockerd", path=PATH) or "dockerd"],
            env={**os.environ, "PATH": PATH},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    give_up = time.monotonic() + START_SECONDS
    while refusal() is not None:
        if engine.poll() is not None or time.monotonic() > give_up:
            said = last_line(log.read_text(errors="replace"))
            raise Lacking(f"dockerd does not answer: {said}; see {log}, or start an engine by hand")
        time.sleep(0.1)
    # nobody waits for it
    engine.returncode = 0


def origin() -> str:
    """Where this machine gets Debian from."""
    asked = (
        "apt-get",
        "indextargets",
        "--format",
        "$(RELEASE) $(COMPONENT) $(ORIGIN) $(REPO_URI)",
        "Created-By: Packages",
    )
    remedy = "this needs Debian's apt"
    release = Path("/etc/os-release").read_text()
    codename = next((line[17:].strip('"') for line in release.splitlines() if line.startswith("VERSION_CODENAME=")), "")
    for again in (True, False):
        for line in must(remedy, *asked).splitlines():
            if line.startswith(f"{codename} main Debian "):
                return line.split(" ", 3)[3]
        # apt tells nothing of an archive whose lists it does not have
        if again:
            must("see what apt-get says", "apt-get", "update", "-q")
    raise Lacking(f"apt has no source of Debian {codename}: see /etc/apt/sources.list and sources.list.d")


def plugins_work(env: dict[str, str]) -> bool:
    return all(call("docker", name.removeprefix("docker-"), "version", env=env).returncode == 0 for name in PLUGINS)


def fetch_plugins(folder: Path) -> None:
    """Compose 2 and buildx out of Debian's packages, without installing them or touching the machine's apt."""
    with tempfile.TemporaryDirectory(prefix="apt-", dir=CACHE) as name:
        scratch = Path(name)
        for part in ("lists/partial", "archives/partial", "parts", "debs", "root"):
            (scratch / part).mkdir(parents=True)
        sources = scratch / "sources.list"
        # of the indexes only the packages'
        sources.write_text(f"deb [target=Packages signed-by={KEYRING}] {origin()} {SUITE} main\n")
        settings = {
            "Dir::State::lists": scratch / "lists",
            "Dir::State::status": "/dev/null",
            "Dir::Cache": scratch,
            "Dir::Etc::sourcelist": sources,
            "Dir::Etc::sourceparts": scratch / "parts",
            # apt's own user cannot be expected to reach the project's folder
            "APT::Sandbox::User": "root",
        }
        apt = ["apt-get", "-q", *(f"-o{key}={value}" for key, value in settings.items())]
        remedy = f"install {' and '.join(PLUGINS)} as plugins of the docker command by hand"
        must(remedy, *apt, "update")
        must(remedy, "env", "-C", scratch / "debs", *apt, "download", *PLUGINS)
        for package in (scratch / "debs").iterdir():
            must(remedy, "dpkg", "-x", package, scratch / "root")
        folder.mkdir(parents=True, exist_ok=True)
        for plugin in PLUGINS:
            found = sorted((scratch / "root").glob(f"usr/lib*/docker/cli-plugins/{plugin}"))
            if not found:
                raise Lacking(f"Debian's package {plugin} holds no plugin of that name; {remedy}")
            shutil.copy2(found[0], folder / plugin)


def plugins() -> dict[str, str]:
    """The environment in which `docker compose` and `docker buildx` work."""
    if plugins_work({}):
        return {"DOCKER_CONFIG": os.environ["DOCKER_CONFIG"]} if "DOCKER_CONFIG" in os.environ else {}
    folder = CACHE / "docker-config"
    found = {"DOCKER_CONFIG": str(folder)}
    if not plugins_work(found):
        fetch_plugins(folder / "cli-plugins")
        must(f"remove {folder} and try again", "docker", "compose", "version", env=found)
        must(f"remove {folder} and try again", "docker", "buildx", "version", env=found)
    return found


def ready() -> dict[str, str]:
    """Sees to all of it; gives what a caller needs in its environment."""
    with alone():
        why = refusal()
        if why is not None and (host := os.environ.get("DOCKER_HOST")):
            raise Lacking(f"the engine at DOCKER_HOST={host} does not answer ({why}): start it, or unset DOCKER_HOST")
        if why is not None and not on_debian():
            raise Lacking(f"no Docker engine answers ({why}): start one; only root on Debian gets one made here")
        if on_debian():
            # Compose 1.29 too, where only the engine was there
            install()
        if refusal() is not None:
            start()
        found = {**plugins(), "DOCKER_BUILDKIT": "1"}
        older = call("docker-compose", "version", "--short")
        if older.returncode == 0 and older.stdout.startswith("1."):
            found["COMPOSE_1"] = shutil.which("docker-compose") or "docker-compose"
        return found


def main() -> None:
    try:
        found = ready()
    except Lacking as lacking:
        sys.exit(f"engine: {lacking}")
    for name, value in found.items():
        print(f"{name}={value}")


if __name__ == "__main__":
    main()
