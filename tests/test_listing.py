"""The list of all coins from Python: its runs, search, resolve, and the universe of a past moment."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest

import coinmill

DAY = 24 * 60 * 60
NOON = datetime(2026, 1, 14, 12, 10, tzinfo=timezone.utc)


@pytest.fixture
def sim() -> Iterator[coinmill.Sim]:
    with coinmill.Sim(market_size=100, clock=NOON, frozen=True) as running:
        yield running


@pytest.fixture
def mill(sim: coinmill.Sim, tmp_path: Path) -> coinmill.Mill:
    return coinmill.Mill(**sim.settings, data_dir=tmp_path, top=20, attempts=1)


def test_a_coin_that_dies_has_a_date_and_stays_in_the_universe_of_its_time(
    sim: coinmill.Sim, mill: coinmill.Mill
) -> None:
    mill.run_snapshot()
    first = mill.run_listing()
    assert (first["kind"], first["state"], first["accepted"], first["calls"]) == ("listing", "complete", 100, 1)
    again = mill.run_listing()
    assert (again["run"], again["calls"], again["stored"]) == (first["run"], 0, 0)
    sim.change_coin("tether", listed=False)
    sim.change_coin("ripple", name="Ripple II")
    for _ in range(2):
        sim.advance(DAY)
        mill.run_snapshot()
        last = mill.run_listing()
    assert last["delisted"] == ["tether"]
    universe = mill.universe(top=10, at=NOON)
    rows = {row["coin_id"]: row for row in universe}
    assert next(iter(rows)) == "bitcoin"
    assert rows["tether"]["delisted_at"] == datetime(2026, 1, 15, 12, 10, tzinfo=timezone.utc)
    assert rows["tether"]["last_seen"] == datetime(2026, 1, 14, 12, tzinfo=timezone.utc)
    assert (rows["ripple"]["name"], rows["ripple"]["name_now"]) == ("XRP", "Ripple II")
    assert "tether" not in [row["coin_id"] for row in mill.universe()]
    assert mill.resolve("tether") == "tether"
    (tether,) = [row for row in mill.search("USDT") if row["match"] == "symbol"]
    assert tether["delisted_at"] is not None
    status = mill.status()["listing"]
    assert status is not None
    assert (status["run"], status["coins"]) == (last["run"], 99)


def test_a_universe_of_more_than_is_stored_warns(mill: coinmill.Mill) -> None:
    mill.run_snapshot()
    with pytest.warns(coinmill.CoverageWarning, match="of the top 50"):
        universe = mill.universe(50)
    assert (len(universe), [gap["what"] for gap in universe.missing]) == (20, ["ranks 21 to 50"])
    with pytest.raises(ValueError, match=r"^top: 0 is not a whole number of at least 1"):
        mill.universe(0)


def test_several_coins_are_an_error_that_names_them(mill: coinmill.Mill) -> None:
    mill.run_snapshot()
    with pytest.warns(coinmill.CoverageWarning, match="coinmill run listing"):
        assert len(mill.search("zcash")) == 0
    mill.run_listing()
    assert [row["coin_id"] for row in mill.search("zcash", limit=1)] == ["zcash"]
    assert mill.resolve("ZEC") == "zcash"
    with pytest.raises(coinmill.DataError, match="did you mean zcash"):
        mill.resolve("zcahs")
    with pytest.raises(ValueError, match="nothing to look for"):
        mill.search("  ")


def test_a_list_that_lost_too_many_is_refused(sim: coinmill.Sim, mill: coinmill.Mill) -> None:
    mill.run_listing()
    sim.advance(DAY)
    sim.add_fault('body:path=/coins/list,text=[{"id":"bitcoin","symbol":"btc","name":"Bitcoin"}]')
    with pytest.raises(coinmill.DataError, match="lacks 99 of the 100"):
        mill.run_listing()
    assert mill.run_listing(accept_losses=True)["absent"] == 99
