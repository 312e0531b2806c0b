"""The result of a fault, as one line of JSON in the file that COINMILL_CHAOS_LOG names: for `docs/reliability.md`.

The tests in Rust write theirs by `tests/support/chaos.rs`. Without the variable nothing is written.
"""

from __future__ import annotations

import json
import os

import pytest
from harm import Seen

# how often each fault is injected, where there is time for all of them; else only a few are, once
ROUNDS = int(os.environ.get("COINMILL_CHAOS_ROUNDS") or 0)
slow = pytest.mark.skipif(not ROUNDS, reason="make stack-chaos has the time for it")


def note(group: str, executor: str, task: str, seen: Seen) -> None:
    path = os.environ.get("COINMILL_CHAOS_LOG")
    if not path:
        return
    line = {
        "group": group,
        "run": task.removeprefix("run_market_"),
        "executor": executor,
        "injected": 1,
        "healed": int(seen.healed),
        "lost": seen.lost,
        "doubled": seen.doubled,
        "silent": int(seen.silent),
        "paid_twice": seen.paid_twice,
        "seconds": round(seen.seconds, 1),
    }
    with open(path, "a") as log:
        log.write(json.dumps(line) + "\n")
