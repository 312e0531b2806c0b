"""Times contenders in one process, in turn."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any


def in_turn(contenders: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """The seconds of each, after one round that does not count. What it returns is dropped outside the time.

    Where that is a number of seconds, the contender was timed by another program.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(rounds + 1):
        for name, work in contenders.items():
            gc.collect()
            began = perf_counter()
            made = work()
            took = made if isinstance(made, float) else perf_counter() - began
            del made
            if turn:
                seconds[name].append(took)
    return seconds
