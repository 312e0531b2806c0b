"""Candles and explanations as Python gives them."""

from datetime import datetime, timezone
from pathlib import Path

import pytest

import coinmill

NOON = datetime(2026, 1, 14, 12, 10, tzinfo=timezone.utc)


@pytest.fixture(scope="module")
def mill(tmp_path_factory: pytest.TempPathFactory) -> coinmill.Mill:
    folder = tmp_path_factory.mktemp("candles")
    with coinmill.Sim(market_size=5, frozen=True, clock=NOON) as sim:
        mill = coinmill.Mill(**sim.settings, data_dir=folder, top=5)
        mill.run_snapshot()
        mill.run_timeseries()
        mill.backfill(days=10, coins="bitcoin")
    return mill


def test_candles_are_a_frame_with_a_mark_for_what_is_partial(mill: coinmill.Mill) -> None:
    candles = mill.candles("bitcoin", every="1d")
    assert candles.columns == [
        "coin_id",
        "ts",
        "open",
        "high",
        "low",
        "close",
        "points",
        "market_cap",
        "volume_24h",
        "resolution",
        "is_partial",
    ]
    table = candles.to_pandas()
    assert table["is_partial"].dtype == bool
    assert set(table["resolution"]) == {"5m", "1h"}
    assert table["is_partial"].iloc[-1], "the day that is running"
    assert ((table["low"] <= table["open"]) & (table["close"] <= table["high"])).all()
    whole = table[~table["is_partial"] & (table["resolution"] == "1h")]
    assert set(whole["points"]) <= {23, 24, 25}


def test_a_zone_moves_the_days(mill: coinmill.Mill) -> None:
    starts = mill.candles("bitcoin", every="1d", zone="Asia/Kolkata")["ts"]
    assert {f"{start:%H:%M}" for start in starts} == {"18:30"}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"every": "7h"}, "divide a day"),
        ({"every": "soon"}, "1d, 1w, 1mo"),
        ({"zone": "Berlin"}, "Europe/Berlin"),
        ({"start": "2026-01-14", "end": "2026-01-13"}, "start must be before end"),
    ],
)
def test_what_cannot_be_is_a_value_error_that_says_what_can(
    mill: coinmill.Mill, wrong: dict[str, str], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        mill.candles("bitcoin", **wrong)


def test_a_number_leads_to_its_bytes(mill: coinmill.Mill, tmp_path: Path) -> None:
    last = mill.prices("bitcoin", resolution="5m")[-1]
    explained = mill.explain("bitcoin", last["ts"], resolution="5m")
    assert explained["quote"] is None
    (point,) = explained["points"]
    (version,) = point["versions"]
    assert version["price"] == last["price"]
    assert (version["landed"], version["status"], len(version["sha256"])) == ("there", 200, 64)
    assert "/coins/bitcoin/market_chart" in version["request"]
    quote = mill.explain("bitcoin", "2026-01-14T12:00:00Z")["quote"]
    assert quote is not None
    assert quote["values"] is not None
    assert quote["values"]["current_price"] == mill.quotes()[0]["current_price"]
    with pytest.raises(coinmill.DataError, match="coinmill gaps bitcoin"):
        mill.explain("bitcoin", "2020-01-01")
