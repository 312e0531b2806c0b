"""What a person sees in a terminal of 80 columns and 24 lines, and what a pipe gets instead."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyte
import pytest

import coinmill

COLUMNS, LINES = 80, 24
ESCAPE = "\x1b"


def environment(sim: coinmill.Sim | None, folder: Path, more: Mapping[str, str]) -> dict[str, str]:
    settings = {"PLAN": "unlimited", "CLOCK": "sim", "DATA_DIR": str(folder)}
    if sim is not None:
        settings["API_URL"] = sim.url
    names = ("CI", "NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLORTERM", "COLUMNS", "LINES")
    outside = {name: value for name, value in os.environ.items() if name not in names}
    ours = {f"COINMILL_{name}": value for name, value in settings.items()}
    return {**outside, "TERM": "xterm-256color", **ours, **more}


class Terminal:
    """A command with its three streams on a terminal: all that it wrote, and the screen that came of it."""

    def __init__(self, arguments: Sequence[str], env: Mapping[str, str]) -> None:
        self.screen = pyte.HistoryScreen(COLUMNS, LINES, history=10_000)
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        command = [sys.executable, "-m", "coinmill", *arguments]
        process = subprocess.Popen(command, env=dict(env), stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        stream, self.written, until = pyte.ByteStream(self.screen), b"", time.monotonic() + 60
        while time.monotonic() < until:
            if not select.select([ours], [], [], 0.1)[0]:
                continue
            try:
                read = os.read(ours, 65_536)
            except OSError:  # Linux: the other side is closed
                break
            if not read:
                break
            self.written += read
            stream.feed(read)
        self.code = process.wait(timeout=10)
        os.close(ours)

    @property
    def lines(self) -> list[str]:
        """Every line, those that left the screen first."""
        above = ["".join(row[column].data for column in range(COLUMNS)) for row in self.screen.history.top]
        return [line.rstrip() for line in [*above, *self.screen.display]]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def words(text: str) -> list[str]:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).split()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["run", "snapshot", "--help"],
        ["db-init", "--help"],
        ["check", "--help"],
        ["doctor", "--help"],
        ["completions", "--help"],
        ["doctor", "--offline"],
        ["config"],
        ["status"],
        ["runs"],
        ["check"],
        ["price", "bitcoin"],
        ["price", "bitcoin", "ethereum", "tether"],
        ["price", "bitcion"],
        ["gaps"],
        ["universe"],
        ["plan"],
        ["nonsense"],
        ["check", "--max-age", "soon"],
    ],
    ids=" ".join,
)
def test_no_word_is_broken_at_the_edge(sim: coinmill.Sim, tmp_path: Path, arguments: list[str]) -> None:
    env = environment(sim, Path("data"), {})
    ready = subprocess.run([sys.executable, "-m", "coinmill", "run", "all", "--top=20"], env=env, capture_output=True)
    assert ready.returncode == 0, ready.stderr
    piped = subprocess.run([sys.executable, "-m", "coinmill", *arguments], env=env, capture_output=True, text=True)
    shown = Terminal(arguments, env)
    assert shown.code == piped.returncode
    assert ESCAPE not in piped.stdout + piped.stderr
    # seconds and sizes may differ between two calls; a word that is broken is one that a pipe does not have
    whole = {re.sub(r"\d+", "0", word) for word in words(piped.stdout + piped.stderr)}
    seen = {re.sub(r"\d+", "0", word) for word in words(shown.text)}
    assert seen - whole == set(), shown.text


def test_log_lines_and_the_bar_keep_off_each_other(sim: coinmill.Sim, tmp_path: Path) -> None:
    sim.add_fault("500:times=2,after=3,path=market_chart")
    sim.add_fault("500:times=2,after=9,path=market_chart")
    env = environment(sim, tmp_path, {"COINMILL_CALLS_PER_MINUTE": "3000", "COINMILL_MAX_WAIT": "0.6"})
    snapshot = Terminal(["run", "snapshot", "--top=20"], env)
    assert snapshot.code == 0, snapshot.text
    shown = Terminal(["run", "timeseries", "-v"], env)
    assert shown.code == 0, shown.text
    written = shown.written.decode()
    assert re.search(r"\d+ of 20 charts", written), written
    # the bar is gone, each log line stands alone, and nothing of the bar is left in between
    assert not re.search(r"\d of \d+ charts, about", shown.text), shown.text
    logged = [line for line in shown.lines if " WARN " in line]
    assert logged, shown.text
    assert all(re.match(r"^\d{4}-\d\d-\d\dT\S+ +WARN ", line) for line in logged), shown.text
    bars = re.findall(r"(?:\r|\n|\x1b\[\w+)(\d\d:\d\d:\d\d \[[^\r\n\x1b]*)", written)
    assert bars
    assert all(len(bar) <= COLUMNS for bar in bars), bars


def test_an_export_shows_how_far_it_is(sim: coinmill.Sim, tmp_path: Path) -> None:
    env = environment(sim, tmp_path / "data", {})
    Terminal(["run", "all", "--top=5"], env)
    shown = Terminal(["export", "--format=csv", f"--to={tmp_path / 'lake'}"], env)
    assert shown.code == 0, shown.text
    assert re.search(rb"\d of \d days", shown.written), shown.written
    assert "days" not in shown.text, shown.text
    piped = subprocess.run(
        [sys.executable, "-m", "coinmill", "export", f"--to={tmp_path / 'lake'}"],
        env=env,
        capture_output=True,
        text=True,
    )
    assert (piped.returncode, piped.stderr) == (0, "")


def test_errors_in_the_ledger_have_lines_of_their_own(sim: coinmill.Sim, tmp_path: Path) -> None:
    env = environment(sim, tmp_path, {"COINMILL_ATTEMPTS": "1"})
    Terminal(["run", "snapshot", "--top=5"], env)
    sim.advance(1800)
    sim.add_fault("500:times=0")
    failed = Terminal(["run", "snapshot", "--top=5"], env)
    assert failed.code == 1, failed.text
    shown = Terminal(["runs"], env)
    lines = [line for line in shown.lines if line]
    places = [place for place, line in enumerate(lines) if line.startswith("   run ")]
    assert len(places) == 2, shown.text
    first = lines[places[0] + 1 : places[1] - 1]
    assert first, shown.text
    assert all(line.startswith("   ") for line in first), shown.text
    assert "500" in " ".join(first), shown.text


@pytest.mark.parametrize(
    ("more", "is_colored"),
    [
        ({}, True),
        ({"NO_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
        ({"CLICOLOR": "0"}, False),
    ],
)
@pytest.mark.parametrize("arguments", [["doctor", "--offline"], ["--help"]], ids=" ".join)
def test_colour_is_for_terminals_that_want_it(
    sim: coinmill.Sim, tmp_path: Path, arguments: list[str], more: dict[str, str], is_colored: bool
) -> None:
    shown = Terminal(arguments, environment(sim, tmp_path, more))
    assert shown.code == 0, shown.text
    assert (ESCAPE.encode() + b"[" in shown.written) == is_colored, shown.written


def test_colour_can_be_forced_into_a_pipe_and_never_into_json(sim: coinmill.Sim, tmp_path: Path) -> None:
    env = environment(sim, tmp_path, {"CLICOLOR_FORCE": "1"})
    command = [sys.executable, "-m", "coinmill", "doctor", "--offline"]
    said = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    assert ESCAPE in said.stdout
    said = subprocess.run([*command, "--json"], env=env, capture_output=True, text=True, check=True)
    assert ESCAPE not in said.stdout
