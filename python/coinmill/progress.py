"""A bar for whoever waits for a run in a notebook. The verbs call it; nothing of IPython is imported elsewhere."""

from __future__ import annotations

import sys
import time
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from coinmill.records import Progress

# what is over sooner needs no bar, and leaves no empty output behind
DELAY = 2.0


def in_a_notebook() -> Bar | None:
    """A bar of the running cell; None in a shell or a script."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    # a terminal's IPython has no kernel, and cannot show HTML
    return Bar() if hasattr(shell, "kernel") else None


class Bar:
    """A function that is told how far a run is, and shows it in one place of the cell's output."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.place: Any = None

    def __call__(self, progress: Progress) -> None:
        took = time.monotonic() - self.began
        if self.place is None and (took < DELAY or progress["received"] >= progress["expected"]):
            return
        ipython = import_module("IPython.display")
        shown = ipython.HTML(markup(progress, took))
        if self.place is None:
            self.place = ipython.display(shown, display_id=True)
        else:
            self.place.update(shown)


def markup(progress: Progress, took: float) -> str:
    """The bar as HTML: numbers and words of ours alone, so that nothing has to be escaped."""
    received, expected = progress["received"], progress["expected"]
    said = f"{received:,} of {expected:,} {progress['unit']}"
    if received < expected:
        said += f", about {in_words(left(progress, took))} left"
    else:
        said += f" in {in_words(took)}"
    return f'<progress value="{received}" max="{expected}"></progress> {said}'


def left(progress: Progress, took: float) -> float:
    """Seconds: as fast as until now, and not faster than the plan allows."""
    rest = progress["expected"] - progress["received"]
    paced = rest / progress["per_minute"] * 60 if progress["per_minute"] else 0.0
    return max(paced, took * rest / progress["received"] if progress["received"] else 0.0)


def in_words(seconds: float) -> str:
    """A length of time as people say it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
