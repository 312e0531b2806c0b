"""Docker and docker compose, as far as the stack needs them: what is missing is said in one line."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from typing import Any

from environment import MANAGED, ROOT, Environment, Refused

ONE_SHOTS = ("db-init", "airflow-init", "coinmill-init")
# so that `down` finds what another profile has started
ALL_PROFILES = "sim,scale,tools,prune"


class Compose:
    """`docker compose` for one stack: version 2, or else 1.29."""

    def __init__(self, env: Environment) -> None:
        self.env = env
        plugin = answers(["docker", "compose", "version"])
        self.program = ["docker", "compose"] if plugin else ["docker-compose"]
        self.variables = {
            **os.environ,
            # version 1.29 reads these from no file but `.env`
            **{name: value for name, value in env.values.items() if name.startswith("COMPOSE_")},
            "DOCKER_BUILDKIT": "1",
            "COMPOSE_DOCKER_CLI_BUILD": "1",
        }

    @property
    def shown(self) -> str:
        """How its user calls it."""
        file = "" if self.env.shown == ".env" else f" --env-file {self.env.shown}"
        return " ".join(self.program) + file

    def check(self) -> None:
        """Refuses where something is missing that everything else needs."""
        if self.env.server_of_its_own != (MANAGED in self.env.values.get("COMPOSE_FILE", "")):
            raise Refused(
                f"{self.env.shown}: for another PostgreSQL server than the stack's own, set both POSTGRES_HOST and"
                f" COMPOSE_FILE=docker-compose.yml:{MANAGED}; else neither"
            )
        self.check_docker()
        # since 23 the command builds by the plugin only
        client = subprocess.run(
            ["docker", "version", "-f", "{{.Client.Version}}"], capture_output=True, text=True
        ).stdout
        if int(client.split(".")[0] or 0) >= 23 and not answers(["docker", "buildx", "version"]):
            raise Refused(
                "BuildKit is missing, which builds the image: install the package docker-buildx or docker-buildx-plugin"
            )

    def check_docker(self) -> None:
        """Refuses where Docker or Compose does not answer."""
        if not shutil.which("docker"):
            raise Refused(
                "Docker is not installed: on Debian or Ubuntu, apt install docker.io docker-compose docker-buildx"
            )
        info = subprocess.run(["docker", "info", "-f", "{{.ServerVersion}}"], capture_output=True, text=True)
        if info.returncode:
            said = (info.stderr.strip().splitlines() or ["it does not answer"])[-1]
            if "permission denied" in said:
                raise Refused(
                    "Docker does not let you in: join its group (sudo usermod -aG docker $USER) and sign in again"
                )
            raise Refused(
                f"no Docker daemon answers: start it (sudo systemctl start docker, or Docker Desktop). It says: {said}"
            )
        if not answers([*self.program, "version"]):
            raise Refused("docker compose is missing: install the package docker-compose-plugin or docker-compose")

    def require_port(self, port: int) -> None:
        """Refuses where another program has the port of the pages."""
        ours = [one["HostConfig"]["PortBindings"] for one in self.containers("api-server")]
        if any(bound["HostPort"] == str(port) for ports in ours for bound in ports["8080/tcp"]):
            return
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                raise Refused(
                    f"port {port} is taken by another program: choose a free one as STACK_PORT in {self.env.shown}"
                ) from None

    def build(self) -> None:
        done = self.run("build", "airflow-init")
        if done.returncode:
            raise Refused("the image could not be built: see above")

    def stop_older(self) -> None:
        """Stops what runs from another image than the one just built, before anything of the new one migrates a table.

        Compose itself replaces one service after the other.
        """
        image = output(["docker", "image", "inspect", "-f", "{{.Id}}", self.env.image]).strip()
        ours = [one for one in self.containers() if one["Config"]["Image"] == self.env.image]
        if any(one["Image"] != image for one in ours):
            done = self.run("stop", *sorted({service_of(one) for one in ours}), quiet=True)
            if done.returncode:
                raise Refused(f"the older services could not be stopped: {done.stderr.strip()}")

    def up(self, *, recreate: bool) -> None:
        """Starts everything. A one-shot that fails is told in its own words."""
        workers = ["--scale", f"worker={self.env.workers}"] if self.env.workers else []
        arguments = ["--force-recreate"] if recreate else []
        done = self.run("up", "-d", "--no-build", "--remove-orphans", *arguments, *workers, quiet=True)
        for service in ONE_SHOTS:
            for container in self.containers(service, stopped=True):
                if container["State"]["Status"] == "exited" and container["State"]["ExitCode"]:
                    raise Refused(f"{service} failed: {last_line(container['Id'])}")
        if done.returncode:
            said = [line for line in done.stderr.splitlines() if line.strip()]
            for container in self.containers("postgres", stopped=True):
                if not container["State"]["Running"] or container["RestartCount"]:
                    raise Refused(f"postgres does not stay up: {last_line(container['Id'])}")
            raise Refused(f"the stack did not start: {said[-1] if said else 'docker compose says no more'}")

    def wait_until_healthy(self, seconds: float, say: Callable[[str], None]) -> None:
        """Waits for every service's health check; one that cannot start is told in its own last words."""
        end = time.monotonic() + seconds
        healthy: set[str] = set()
        while True:
            waiting = []
            for container in self.containers():
                name, state = service_of(container), container["State"]
                if container["RestartCount"] > 3 and state["Status"] != "running":
                    raise Refused(f"{name} does not stay up: {last_line(container['Id'])}")
                if state["Status"] == "running" and state.get("Health", {}).get("Status", "healthy") == "healthy":
                    if name not in healthy:
                        say(f"{name} is up")
                    healthy.add(name)
                else:
                    waiting.append(name)
            if not waiting:
                return
            if time.monotonic() > end:
                raise Refused(
                    f"not healthy after {seconds:.0f} s: {', '.join(waiting)}. See {self.shown} logs {waiting[0]}"
                )
            time.sleep(1)

    def containers(
        self, service: str | None = None, *, stopped: bool = False, one_shots: bool = False
    ) -> list[dict[str, Any]]:
        """What `docker inspect` says of the stack's containers."""
        label = "label=com.docker.compose."
        filters = ["-f", f"{label}project={self.env.project}", "-f", f"{label}oneoff=False"]
        filters += ["-f", f"{label}service={service}"] if service else []
        found = output(["docker", "ps", "-q", *(["-a"] if stopped else []), *filters]).split()
        containers: list[dict[str, Any]] = json.loads(output(["docker", "inspect", *found])) if found else []
        return [one for one in containers if service or one_shots or service_of(one) not in ONE_SHOTS]

    def down(self, *arguments: str) -> None:
        self.variables["COMPOSE_PROFILES"] = ALL_PROFILES
        done = self.run("down", "--remove-orphans", *arguments, quiet=True)
        if done.returncode:
            raise Refused(f"the stack could not be stopped: {done.stderr.strip()}")

    def command(self, *arguments: str) -> list[str]:
        return [*self.program, "--env-file", str(self.env.path), "-p", self.env.project, *arguments]

    def run(self, *arguments: str, quiet: bool = False) -> subprocess.CompletedProcess[str]:
        stderr = subprocess.PIPE if quiet else None
        return subprocess.run(
            self.command(*arguments), cwd=ROOT, env=self.variables, stdout=stderr, stderr=stderr, text=True
        )


def answers(command: list[str]) -> bool:
    return bool(shutil.which(command[0])) and subprocess.run(command, capture_output=True).returncode == 0


def output(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise Refused(f"Docker stopped answering: {done.stderr.strip()}")
    return done.stdout


def service_of(container: dict[str, Any]) -> str:
    name: str = container["Config"]["Labels"]["com.docker.compose.service"]
    return name


def last_line(container: str) -> str:
    done = subprocess.run(["docker", "logs", "--tail", "20", container], capture_output=True, text=True)
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    for line in reversed(lines):
        # what PostgreSQL says after that hides it, and does not say what to do
        if "No space left on device" in line:
            return f"{line}. Free space on the disk of Docker's volumes (docker system df -v shows what they hold)"
    return lines[-1] if lines else "it said nothing"
