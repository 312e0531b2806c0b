"""What has to stand around a native call in a task: signals that end it, and errors that Airflow understands."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from airflow.sdk.exceptions import AirflowException, AirflowFailException


@contextmanager
def native_call() -> Iterator[None]:
    """Makes a kill end the calls within, and sorts their errors into retry and fail at once.

    Raises
    ------
    AirflowFailException
        For an error that trying again cannot help: a bad argument or setting, a past slot, a spent budget.
    AirflowException
        The task was killed.
    """
    from coinmill import CoinmillError

    try:
        with ended_by_signals():
            yield
    except (TypeError, ValueError) as error:
        raise AirflowFailException(str(error)) from error
    except CoinmillError as error:
        if error.retryable:
            raise
        raise AirflowFailException(str(error)) from error


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Lets SIGTERM raise, and a native fault kill the process, until the block is left.

    A native call runs Python's signal handlers all the time, but Airflow's own for SIGTERM only calls `on_kill`, so the
    call would run on until SIGKILL; and under the handler that its DAG parser leaves for SIGSEGV a fault would spin for
    ever. Outside the main thread, where Python allows no handlers, it does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    terminate, fault = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGSEGV)

    def killed(number: int, frame: FrameType | None) -> None:
        if callable(terminate):
            terminate(number, frame)
        raise AirflowException("the task was killed (SIGTERM); the next try recovers what it had landed")

    signal.signal(signal.SIGTERM, killed)
    if callable(fault):
        signal.signal(signal.SIGSEGV, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, terminate or signal.SIG_DFL)
        if callable(fault):
            signal.signal(signal.SIGSEGV, fault)
