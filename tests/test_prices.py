"""Prices: the coins and the span that were asked for, or an error or a list that says what is missing."""

from __future__ import annotations

import warnings
from datetime import timedelta
from pathlib import Path

import pytest

import coinmill


@pytest.fixture
def filled(sim: coinmill.Sim, tmp_path: Path) -> coinmill.Mill:
    """A mill with a snapshot of 20 coins and a week of two coins, in SQLite files in the test's folder."""
    mill = coinmill.Mill(**sim.settings, data_dir=tmp_path, top=20)
    mill.run_snapshot()
    mill.backfill(days=7, coins=["bitcoin", "ethereum"])
    return mill


@pytest.mark.parametrize(
    ("coins", "says"),
    [
        (["bitcon"], r"no prices of bitcon are stored: did you mean bitcoin\?"),
        ("btc", "btc is the symbol of bitcoin: give the id"),
        (["ethereum", "bitcon"], r"no prices of bitcon are stored: did you mean bitcoin\?"),
        ("dogecoin", "no prices of dogecoin are stored: `coinmill backfill"),
    ],
)
def test_a_coin_that_is_not_stored_is_an_error_that_says_what_is(
    filled: coinmill.Mill, coins: str | list[str], says: str
) -> None:
    with pytest.raises(coinmill.DataError, match=says):
        filled.prices(coins)


def test_nothing_at_a_resolution_says_at_which_there_is_something(filled: coinmill.Mill) -> None:
    with pytest.raises(coinmill.DataError, match=r"nothing is stored at 1d: 1h is stored from .* to "):
        filled.prices("bitcoin", resolution="1d")


def test_a_span_that_is_none_is_a_value_error(filled: coinmill.Mill) -> None:
    for start, end in [("2026-01-02", "2026-01-01"), ("2026-01-02", "2026-01-02")]:
        with pytest.raises(ValueError, match="start must be before end"):
            filled.prices("bitcoin", start, end)
    with pytest.raises(ValueError, match="at least one coin"):
        filled.prices([])
    with pytest.raises(ValueError, match="at least one coin"):
        filled.backfill(days=2, coins=[])


def test_a_coin_may_be_a_text_and_is_read_once(filled: coinmill.Mill) -> None:
    one = filled.prices("bitcoin").to_polars()
    assert one.equals(filled.prices(["bitcoin"]).to_polars())
    assert one.equals(filled.prices(["bitcoin", "bitcoin"]).to_polars())
    assert set(filled.prices("bitcoin, ethereum").to_polars()["coin_id"].to_list()) == {"bitcoin", "ethereum"}
    assert filled.backfill(days=2, coins="dogecoin")["received"] == 1


def test_a_frame_lists_what_is_missing_and_a_bound_that_is_not_covered_warns(
    filled: coinmill.Mill, sim: coinmill.Sim
) -> None:
    whole = filled.prices()
    assert (whole.missing, filled.quotes().missing) == ([], [])
    start = (sim.now - timedelta(days=9)).replace(microsecond=0)
    with pytest.warns(coinmill.CoverageWarning) as caught:
        frame = filled.prices(start=start)
    assert len(frame) == len(whole)
    from coinmill.records import Missing

    assert [set(span) for span in frame.missing] == [set(Missing.__annotations__)] * 2
    assert [span["coin_id"] for span in frame.missing] == ["bitcoin", "ethereum"]
    assert frame.missing[0]["start"] == start.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    assert frame.missing[0]["reason"] == "not fetched"
    (warning,) = caught
    assert warning.filename == __file__
    said = str(warning.message)
    assert "bitcoin is stored from" in said
    assert "2 spans of 2 coins are missing: see frame.missing" in said
    assert "`coinmill backfill --from" in said
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", coinmill.CoverageWarning)
        assert len(filled.prices(start=start).missing) == 2


def test_reading_where_there_is_no_database_is_an_error(tmp_path: Path) -> None:
    mill = coinmill.Mill(data_dir=tmp_path / "nothing")
    for read in (mill.quarantine, mill.requeue, mill.quotes, lambda: mill.replay("any")):
        with pytest.raises(coinmill.ConfigError, match=r"there is no database .*snapshot\.db yet"):
            read()
    with pytest.raises(coinmill.ConfigError, match="`coinmill run timeseries` makes it"):
        mill.prices("bitcoin")


def test_quotes_say_which_coins_of_their_slot_are_missing(sim: coinmill.Sim, tmp_path: Path) -> None:
    mill = coinmill.Mill(**sim.settings, data_dir=tmp_path, top=20, completeness=0.5)
    sim.add_fault("set:times=0,id=bitcoin,field=current_price,value=-5")
    assert mill.run_snapshot()["missing"] == [
        {"coin_id": "bitcoin", "what": "bitcoin", "reason": "refused: negative_price"}
    ]
    frame = mill.quotes()
    assert len(frame) == 19
    (missing,) = frame.missing
    assert (missing["coin_id"], missing["reason"]) == ("bitcoin", "refused: negative_price")
    sim.clear_faults()
    sim.advance(1800)
    mill.run_snapshot()
    assert mill.quotes().missing == []


def test_what_the_plan_does_not_reach_is_not_promised(filled: coinmill.Mill, sim: coinmill.Sim, tmp_path: Path) -> None:
    keyless = coinmill.Mill(**{**sim.settings, "plan": "keyless"}, data_dir=tmp_path, top=20)
    with pytest.warns(coinmill.CoverageWarning, match="fetches what the plan reaches of them"):
        keyless.prices("bitcoin", "2020-01-01", "2100-01-01")
    with pytest.warns(coinmill.CoverageWarning, match="and no further: they cannot be fetched"):
        keyless.prices("bitcoin", "2020-01-01", "2020-02-01")
