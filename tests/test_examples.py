"""The notebooks run as they are, offline, and show what is stored in them."""

from pathlib import Path

import pytest
from notebooks import executed, notebooks, read, shown


@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)
def test_a_notebook_shows_what_is_stored_in_it(path: Path, tmp_path: Path) -> None:
    # as in the stack, where settings lead to real databases: none of a trial may get there
    real = {f"COINMILL_{name}": f"sqlite://{tmp_path}/real.db" for name in ("SNAPSHOT_URL", "TIMESERIES_URL")}
    ran = executed(path, tmp_path, **real, COINMILL_LANDING_DIR=f"{tmp_path}/landing")
    for (source, stored), (_, fresh) in zip(shown(read(path)), shown(ran), strict=True):
        assert fresh == stored, f"this cell of {path.name} shows something else; `make examples` stores it:\n{source}"
    assert not list(tmp_path.iterdir()), "a notebook cleans up"


@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)
def test_a_stored_notebook_has_its_outputs_and_nothing_of_the_machine(path: Path) -> None:
    notebook = read(path)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell.outputs]
    assert all(output.output_type != "error" and output.get("name") != "stderr" for output in outputs)
    assert any("text/html" in output.get("data", {}) for output in outputs)
    text = path.read_text(encoding="utf-8")
    assert "/tmp/" not in text
    assert str(Path.home()) not in text
    assert path.stat().st_size < 600_000


def test_there_are_notebooks() -> None:
    assert [path.stem for path in notebooks()] == ["backtest", "data_quality", "first_steps"]
