"""What `docs/operations.md` gives people to copy: units that systemd accepts, and a line that cron does."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[1] / "docs" / "operations.md").read_text()
COMMAND = "/var/lib/coinmill/venv/bin/coinmill"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze here")
def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    units = re.findall(r"`/etc/systemd/system/(\S+)`:\n\n```ini\n(.*?)```", PAGE, re.DOTALL)
    assert [name for name, _ in units] == ["coinmill.service", "coinmill.timer"]
    for name, text in units:
        # the program has to be there for systemd to be content
        (tmp_path / name).write_text(text.replace(COMMAND, "/bin/true"))
    files = [str(tmp_path / name) for name, _ in units]
    said = subprocess.run(["systemd-analyze", "verify", *files], capture_output=True, text=True)
    ours = [line for line in said.stderr.splitlines() if "coinmill" in line]
    assert (said.returncode, ours) == (0, []), said.stderr


def test_every_command_of_the_page_is_one_of_the_program() -> None:
    written = {words.split(" ")[0] for words in re.findall(r"(?:bin/|`)coinmill ([a-z][a-z -]*)", PAGE)}
    assert {"run", "check", "doctor", "status", "runs"} <= written
    for name in written:
        command = [sys.executable, "-m", "coinmill", name, "--help"]
        assert subprocess.run(command, capture_output=True).returncode == 0, name
