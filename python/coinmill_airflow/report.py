"""The part of a run's report that goes into XCom."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FIELDS = (
    *("run", "kind", "snapshot_time", "resolution", "state", "expected", "received", "accepted", "stored"),
    *("revisions", "postponed", "calls", "score", "content_hash", "error"),
)
NAMED = 10


def summary(report: Mapping[str, Any]) -> dict[str, Any]:
    """The few fields that people look for; of what is missing the first ten, and how many more there are."""
    missing = report["missing"]
    small = {field: report[field] for field in FIELDS if field in report}
    return {**small, "missing": missing[:NAMED], "missing_more": max(0, len(missing) - NAMED)}
