"""Measures commands, and shows what was measured as Markdown."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TIMES = "\N{MULTIPLICATION SIGN}"
PEERS, CHILD = Path(__file__).parent / "peers", Path(__file__).with_name("child.py")


@dataclass(frozen=True)
class Took:
    """What a command took: seconds by the clock and of CPU, and its peak of memory in MB."""

    wall: float
    cpu: float
    peak: float

    def __add__(self, other: Took) -> Took:
        return Took(self.wall + other.wall, self.cpu + other.cpu, max(self.peak, other.peak))


@dataclass
class Row:
    """One kind of work: its heading, what is timed and what is aimed at, and its table."""

    heading: str
    definition: str
    aim: str
    lines: list[str]

    def markdown(self) -> str:
        words = f"{self.definition} {self.aim}".strip()
        return "\n".join([f"### {self.heading}", "", paragraph(words), "", *self.lines]).rstrip() + "\n"


def command(arguments: Sequence[str | Path], env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Took:
    """Runs a command to its end, which has to be a good one."""
    with tempfile.TemporaryFile() as said, tempfile.NamedTemporaryFile("r") as told:
        measured = subprocess.Popen(
            [sys.executable, "-I", "-S", CHILD, told.name, *arguments],
            env={**os.environ, **(env or {})},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
        try:
            measured.wait()
        except BaseException:
            os.killpg(measured.pid, signal.SIGKILL)
            measured.wait()
            raise
        wall, cpu, peak, status = told.read().split() or ("0", "0", "0", "1")
        if status != "0":
            said.seek(0)
            words = said.read().decode(errors="replace")[-4000:]
            raise SystemExit(f"{' '.join(map(str, arguments))} ended with {status}:\n{words}")
    return Took(float(wall), float(cpu), float(peak) / 1000)


def peer(name: str, asked: Mapping[str, Any]) -> Any:
    """Has a script of `peers/` do and time what is asked, in a process of its own; its answer is JSON."""
    arguments = [sys.executable, "-W", "ignore", str(PEERS / f"{name}.py"), json.dumps(asked)]
    done = subprocess.run(arguments, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    if done.returncode:
        raise SystemExit(f"peers/{name}.py ended with {done.returncode}")
    return json.loads(done.stdout)


def spread(values: Sequence[float], digits: int = 2) -> str:
    """The median, and in brackets the least and the most."""
    if not values:
        return ""
    shown = f"{statistics.median(values):,.{digits}f}"
    return shown if len(values) == 1 else f"{shown} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


def milliseconds(seconds: Sequence[float], digits: int = 1) -> str:
    return spread([one * 1000 for one in seconds], digits)


def paragraph(text: str) -> str:
    """A text in lines as long as those of docs/."""
    return textwrap.fill(text, 138, break_long_words=False, break_on_hyphens=False)


def ratio(values: Sequence[float], floor: Sequence[float]) -> str:
    """The median ratio of the rounds, each to the floor of its own round."""
    pairs = list(zip(values, floor, strict=False))
    return f"{statistics.median(a / b for a, b in pairs):.2f}" if pairs else ""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table, whose first column is text and whose others are numbers."""
    rule = ["---"] + ["---:"] * (len(head) - 1)
    return ["| " + " | ".join(cells) + " |" for cells in (head, rule, *rows)] + [""]
