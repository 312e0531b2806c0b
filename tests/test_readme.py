"""What the README prints works for whoever types it."""

import re
from pathlib import Path

import pytest

import coinmill

README = Path(__file__).parents[1].joinpath("README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


def test_the_python_of_the_readme_runs_as_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    with coinmill.Sim(market_size=300) as sim:
        for name, value in sim.settings.items():
            monkeypatch.setenv(f"COINMILL_{name.upper()}", value)
        names: dict[str, object] = {}
        exec(compile(BLOCKS[0], "README.md", "exec"), names)
        report = names["report"]
        assert isinstance(report, dict)
        assert report["state"] == "complete"
        assert report["stored"] >= 100
        prices = names["prices"]
        assert isinstance(prices, coinmill.Frame)
        assert len(prices) > 700
        assert not prices.missing


def test_the_market_of_the_readme_needs_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(BLOCKS[1], "README.md", "exec"), {"coinmill": coinmill})
    assert (tmp_path / "trial" / "snapshot.db").exists()
