"""How often the DAG runs."""

from __future__ import annotations

import os

from croniter import croniter

DEFAULT = "*/30 * * * *"


def schedule() -> str:
    """The cron expression in `COINMILL_SCHEDULE`; every half-hour where it is not set or is empty.

    Raises
    ------
    ValueError
        The variable holds something else; in a DAG's file that is an import error.
    """
    expression = os.environ.get("COINMILL_SCHEDULE", "").strip() or DEFAULT
    # croniter also takes seconds and years, and aliases; not every part of Airflow does
    if len(expression.split()) != 5 or not croniter.is_valid(expression):
        raise ValueError(
            f"COINMILL_SCHEDULE is {expression!r}, which is not a cron expression: write its five fields, minute, "
            f"hour, day, month and day of the week, such as {DEFAULT}"
        )
    return expression
