"""The ``coinmill`` command of the wheel, as a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import coinmill


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_without_a_traceback(
    sim: coinmill.Sim, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    sim.add_fault("stall:times=0")
    settings = {"API_URL": sim.url, "PLAN": "unlimited", "CLOCK": "sim", "DATA_DIR": str(tmp_path)}
    process = subprocess.Popen(
        [sys.executable, "-m", "coinmill", "run", "snapshot"],
        env={**os.environ, **{f"COINMILL_{name}": value for name, value in settings.items()}},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while sim.calls == 0:
        time.sleep(0.01)
    began = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (code, "")
    assert err == "coinmill: stopped; run it again to resume\n"
    assert time.monotonic() - began < 5
    mill = coinmill.Mill(**sim.settings, data_dir=tmp_path)
    assert [(run["state"], run["calls"]) for run in mill.runs()] == [("abandoned", 1)]
