"""Where a stack's secrets must not be: images, settings, commands, logs."""

from __future__ import annotations

import gzip
import subprocess
import tarfile
from collections.abc import Iterator
from typing import IO, Any, cast

from deployment import Deployment
from environment import SECRETS, Environment

CHUNK = 1 << 22
GZIP = b"\x1f\x8b"


def secrets_of(env: Environment) -> dict[str, bytes]:
    """Each secret by its name, as it would be found."""
    return {name: env[name].encode() for name in (*SECRETS, "COINMILL_API_KEY")}


def found_in(text: bytes, wanted: dict[str, bytes]) -> set[str]:
    return {name for name, secret in wanted.items() if secret in text}


def shown(deployment: Deployment) -> bytes:
    """All that Docker shows of a stack's containers, those that have ended too: settings, commands, history, logs."""
    containers = deployment.compose.containers(stopped=True, one_shots=True)
    ids = [one["Id"] for one in containers]
    images = {one["Image"] for one in containers}
    said = [printed("docker", "inspect", *ids, *images)]
    said += [printed("docker", "history", "--no-trunc", image) for image in images]
    said += [printed("docker", "logs", one) for one in ids]
    said += [printed("docker", "top", one["Id"], "-eo", "pid,args") for one in containers if one["State"]["Running"]]
    assert min(map(len, said)) > 20
    return b"".join(said)


def printed(*command: str) -> bytes:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
    return done.stdout


def found_in_layers(image: str, wanted: dict[str, bytes]) -> set[str]:
    """Which of these an image's files hold: those of every layer, also what a later layer has deleted."""
    with subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE) as saved:
        assert saved.stdout
        with tarfile.open(fileobj=saved.stdout, mode="r|") as archive:
            found = set().union(*(found_in_stream(part, wanted) for part in files(archive)))
        saved.stdout.read()
    assert saved.returncode == 0
    return found


def files(archive: tarfile.TarFile) -> Iterator[IO[bytes]]:
    for member in archive:
        if member.isfile() and (file := archive.extractfile(member)):
            yield file


def found_in_stream(file: IO[bytes], wanted: dict[str, bytes]) -> set[str]:
    """A layer is a tar, whose files lie in it as they are, or the same packed."""
    head = file.read(2)
    # the archive is a stream, which cannot be wound back
    stream = cast("IO[bytes]", gzip.GzipFile(fileobj=cast("Any", Prepended(head, file)))) if head == GZIP else file
    found: set[str] = set()
    # a secret may lie across two pieces
    end, longest = head, max(map(len, wanted.values()))
    while piece := stream.read(CHUNK):
        found |= found_in(end + piece, wanted)
        end = piece[-longest:]
    return found


class Prepended:
    """A stream with what was read of it put back."""

    def __init__(self, head: bytes, rest: IO[bytes]) -> None:
        self.head = head
        self.rest = rest

    def read(self, size: int = -1) -> bytes:
        if self.head:
            head, self.head = self.head, b""
            return head
        return self.rest.read(size)
