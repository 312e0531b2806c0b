"""The slot of a DAG run."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Protocol


class DagRun(Protocol):
    """What a slot needs to know of a DAG run."""

    @property
    def run_after(self) -> datetime: ...


def slot_of(dag_run: DagRun) -> datetime:
    """The half-hour that holds the run's `run_after`, by its start in UTC.

    `run_after` is the one instant that every run has: a manual run may have no logical date, and whether a data
    interval ends or begins at the slot depends on the timetable. It stays what it was when the run is late, is retried
    or is cleared, so such a run is never given a newer slot.
    """
    instant = dag_run.run_after.astimezone(timezone.utc)
    return instant.replace(minute=instant.minute // 30 * 30, second=0, microsecond=0)
