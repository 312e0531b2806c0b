"""coinmill under Airflow: what a task needs around a call.

Importing it imports nothing native: Airflow imports it before it forks its tasks.
"""

from coinmill_airflow.call import native_call
from coinmill_airflow.report import summary
from coinmill_airflow.schedule import schedule
from coinmill_airflow.slot import slot_of

__all__ = ["native_call", "schedule", "slot_of", "summary"]
