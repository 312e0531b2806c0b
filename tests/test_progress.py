"""How far a run is: told to a function, and shown in a notebook."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import pytest
from nbclient import NotebookClient

import coinmill
from coinmill import progress

if TYPE_CHECKING:
    from coinmill.records import Progress


@pytest.fixture
def mill(sim: coinmill.Sim, database: str, tmp_path: Path) -> coinmill.Mill:
    """On SQLite the run is in a process of its own, on PostgreSQL in this one."""
    series = database.replace("snapshot.db", "timeseries.db")
    mill = coinmill.Mill(**sim.settings, data_dir=tmp_path, top=12, snapshot_url=database, timeseries_url=series)
    mill.init()
    return mill


def test_a_function_is_told_how_far_each_run_is(mill: coinmill.Mill) -> None:
    told: list[Progress] = []
    mill.run_snapshot(progress=told.append)
    assert told[-1] == {"received": 12, "expected": 12, "unit": "coins", "per_minute": None}
    told.clear()
    mill.backfill(days=2, progress=told.append)
    assert [step["received"] for step in told] == sorted(step["received"] for step in told)
    assert told[-1] == {"received": 12, "expected": 12, "unit": "charts", "per_minute": None}
    told.clear()
    mill.run_timeseries(progress=told.append)
    assert told[-1]["unit"] == "charts"
    mill.heal(progress=told.append)


class Enough(Exception):
    pass


def test_what_it_raises_ends_the_run_in_good_order(mill: coinmill.Mill) -> None:
    mill.run_snapshot()

    def raises(step: Progress) -> None:
        if step["received"] == 3:
            raise Enough

    with pytest.raises(Enough):
        mill.backfill(days=2, progress=raises)
    assert mill.runs(1)[0]["state"] == "abandoned"
    # and the next one resumes
    assert mill.backfill(days=2)["state"] == "complete"
    assert not mill.gaps()


def test_it_may_use_the_mill(mill: coinmill.Mill) -> None:
    seen: list[int] = []
    mill.run_snapshot()
    mill.backfill(days=1, progress=lambda step: seen.append(len(mill.quotes())))
    assert seen
    assert set(seen) == {12}
    with coinmill.Sim(market_size=3) as outer:
        other = coinmill.Mill(**outer.settings, data_dir="outer", top=3)
        urls: list[str] = []

        def starts_another(step: Progress) -> None:
            with coinmill.Sim(market_size=3) as inner:
                urls.append(inner.url)

        other.run_snapshot(progress=starts_another)
    assert urls


def test_what_is_no_function_is_refused(sim: coinmill.Sim, tmp_path: Path) -> None:
    mill = coinmill.Mill(**sim.settings, data_dir=tmp_path, top=3)
    mill.run_snapshot(progress=False)
    for wrong in (True, 1, "bar"):
        with pytest.raises(TypeError, match="`progress` is a function"):
            mill.run_snapshot(progress=wrong)  # type: ignore[arg-type]


def step(received: int, per_minute: int | None = None) -> Progress:
    return {"received": received, "expected": 250, "unit": "charts", "per_minute": per_minute}


@pytest.mark.parametrize(
    ("told", "took", "said"),
    [
        (step(50), 10, "50 of 250 charts, about 40 s left"),
        (step(50, per_minute=30), 10, "50 of 250 charts, about 7 min left"),
        (step(0, per_minute=2), 0, "0 of 250 charts, about 2.1 h left"),
        (step(250), 100, "250 of 250 charts in 2 min"),
    ],
)
def test_the_bar_says_how_much_is_left(told: Progress, took: float, said: str) -> None:
    shown = progress.markup(told, took)
    assert shown == f'<progress value="{told["received"]}" max="250"></progress> {said}'


def test_there_is_no_bar_outside_of_a_notebook() -> None:
    assert progress.in_a_notebook() is None


def test_a_notebook_shows_a_bar_in_one_place(tmp_path: Path) -> None:
    notebook = nbformat.v4.new_notebook()  # type: ignore[no-untyped-call]
    code = """
import coinmill
from coinmill import progress

progress.DELAY = 0
with coinmill.Sim(market_size=300, frozen=True) as sim:
    mill = coinmill.Mill(**sim.settings, data_dir="trial", top=4)
    mill.run_snapshot(progress=False)
    mill.backfill(days=2)
    mill.backfill(days=3, progress=False)
"""
    notebook.cells = [nbformat.v4.new_code_cell(code)]  # type: ignore[no-untyped-call]
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources=resources, extra_arguments=["--log-level=40"]
    ).execute()
    shown = [output.get("data", {}).get("text/html", "") for output in notebook.cells[0].outputs]
    bars = [html for html in shown if html.startswith("<progress")]
    assert bars == [html for html in shown if html], shown
    (bar,) = bars
    assert bar.startswith('<progress value="4" max="4"></progress> 4 of 4 charts in '), bar
