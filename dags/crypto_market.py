"""Every half-hour, or as `COINMILL_SCHEDULE` says: the market's snapshot, then the time series of its coins, and once a
day the list of all coins.

Settings come from the environment of the workers (`COINMILL_SNAPSHOT_URL`, `COINMILL_API_KEY`, …); the tables come from
`coinmill init`. A run belongs to the slot of its `run_after`: CoinGecko serves only the present, so a run that is too
late fails at once and says so; the charts of the coins that are known are fetched all the same, and so is the list,
which takes no call that the month's snapshots need. Any task may be cleared and run again: what is stored already is
not stored twice.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG, TriggerRule

from coinmill_airflow import native_call, schedule, slot_of, summary


def run_market_snapshot(dag_run: Any) -> dict[str, Any]:
    """The quotes of the run's slot."""
    import coinmill  # not while the file is parsed: it is native

    with native_call():
        return summary(coinmill.Mill().run_snapshot(slot_of(dag_run)))


def run_market_timeseries() -> dict[str, Any]:
    """The share of the charts that is due."""
    import coinmill

    with native_call():
        return summary(coinmill.Mill().run_timeseries())


def run_market_listing() -> dict[str, Any]:
    """The day's list of all coins; without a call where it is stored."""
    import coinmill

    with native_call():
        return summary(coinmill.Mill().run_listing())


with DAG(
    dag_id="crypto_market",
    description="Snapshot, time series and list of the crypto market",
    schedule=schedule(),
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
    default_args={
        # the first after 10 to 20 s, so that a task whose worker has died runs again within two minutes of that; the
        # last five minutes or more after the first, for a source that is out
        "retries": 5,
        "retry_delay": timedelta(seconds=10),
        "retry_exponential_backoff": 2,
        "max_retry_delay": timedelta(minutes=5),
    },
    tags=["coinmill"],
    doc_md=__doc__,
) as dag:
    snapshot = PythonOperator(
        task_id="run_market_snapshot",
        python_callable=run_market_snapshot,
        execution_timeout=timedelta(minutes=8),
    )
    timeseries = PythonOperator(
        task_id="run_market_timeseries",
        python_callable=run_market_timeseries,
        execution_timeout=timedelta(minutes=20),
        # a day's charts fall off whether or not there was a snapshot
        trigger_rule=TriggerRule.ALL_DONE,
    )
    # one call a day at most, beside the charts: it has its own lock, and goes by the plan's pace as they do
    listing = PythonOperator(
        task_id="run_market_listing",
        python_callable=run_market_listing,
        execution_timeout=timedelta(minutes=1),
        trigger_rule=TriggerRule.ALL_DONE,
    )
    # a run is as good as its last tasks: without this one it would be green where the snapshot failed
    taken = EmptyOperator(task_id="market_snapshot_taken")
    snapshot >> [timeseries, listing, taken]
