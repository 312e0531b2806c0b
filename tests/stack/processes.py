"""What `ps` shows while something goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread


@contextmanager
def commands() -> Iterator[set[bytes]]:
    """The arguments of every process of this machine meanwhile, those in containers too, as `ps` shows them."""
    seen: set[bytes] = set()
    over = Event()

    def look() -> None:
        while not over.wait(0.01):
            seen.update(arguments())

    thread = Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def arguments() -> Iterator[bytes]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield path.read_bytes()
        except OSError:  # it has ended
            continue
