"""The compose file passes on every setting of coinmill that a stack may change."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

COMPOSE = Path(__file__).parents[1] / "docker-compose.yml"
# the stack decides where things lie, and secrets go another way
DECIDED = {
    "config",
    "data_dir",
    "budget_url",
    "budget_owner_url",
    "landing_dir",
    "snapshot_url",
    "timeseries_url",
    "snapshot_owner_url",
    "timeseries_owner_url",
}


def test_every_setting_that_a_stack_may_change_is_passed_on() -> None:
    command = [sys.executable, "-m", "coinmill", "init", "--help"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    flags = {flag.replace("-", "_") for flag in re.findall(r"^\s+--([a-z0-9-]+) <", said, re.MULTILINE)}
    assert len(flags) > 20
    passed = re.findall(r"^  COINMILL_(\w+): \$\{COINMILL_\1:-\}$", COMPOSE.read_text(), re.MULTILINE)
    assert {name.lower() for name in passed} - {"schedule"} == flags - DECIDED
