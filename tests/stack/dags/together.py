"""A DAG of the tests' own: three tasks that begin at one instant, each on a worker of its own.

Its backfills lock three different series, so that all of them make calls and store points at the same time. How many
days of each is said by the run's configuration.
"""

from __future__ import annotations

import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG

from coinmill_airflow import native_call, summary


def backfill(resolution: Any, dag_run: Any) -> dict[str, Any]:
    """Waits for the others, then asks for the history of all coins at one resolution."""
    import coinmill

    days: dict[str, int] = dag_run.conf
    place = Path("/opt/airflow/logs/together", dag_run.run_id)
    place.mkdir(parents=True, exist_ok=True)
    (place / resolution).touch()
    while len(list(place.iterdir())) < len(days):
        time.sleep(0.05)
    began = time.time()
    with native_call():
        report = coinmill.Mill().backfill(days=days[resolution], resolution=resolution)
    # by this machine's clock: coinmill's own is the market's, which stands still
    return {**summary(report), "began": began, "ended": time.time()}


with DAG(dag_id="together", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=timezone.utc)) as dag:
    for resolution in ("5m", "1h", "1d"):
        PythonOperator(task_id=f"backfill_{resolution}", python_callable=backfill, op_kwargs={"resolution": resolution})
