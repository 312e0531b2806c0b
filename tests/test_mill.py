"""The bindings: what goes in, what comes out, and what is raised."""

from __future__ import annotations

import logging
import multiprocessing
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import FrameType

import numpy
import pytest

import coinmill


def floor30(instant: datetime) -> datetime:
    return instant.replace(minute=instant.minute // 30 * 30, second=0, microsecond=0)


def test_a_snapshot_is_stored_once_and_reported_as_a_plain_dict(mill: coinmill.Mill, sim: coinmill.Sim) -> None:
    first = mill.run_snapshot()
    assert type(first) is dict
    assert (first["state"], first["expected"], first["stored"], first["calls"]) == ("complete", 50, 50, 1)
    again = mill.run_snapshot()
    assert (again["state"], again["stored"], again["calls"], sim.calls) == ("complete", 0, 0, 1)
    assert again["content_hash"] == first["content_hash"]
    assert [run["stored"] for run in mill.runs()] == [0, 50]
    assert mill.status()["snapshot"]["quotes"] == 50


def test_a_report_has_just_the_keys_that_its_type_says(mill: coinmill.Mill) -> None:
    from coinmill.records import Run, RunReport, Status

    assert set(mill.run_snapshot()) == set(RunReport.__annotations__)
    assert set(mill.runs()[0]) == set(Run.__annotations__)
    assert set(mill.status()) == set(Status.__annotations__)


def test_each_rule_is_listed_with_its_bound_and_what_it_flagged(mill: coinmill.Mill) -> None:
    from coinmill.records import Rule, Rules

    report = mill.run_snapshot()
    rules = mill.rules(days=1)
    assert set(rules) == set(Rules.__annotations__)
    assert all(set(rule) == set(Rule.__annotations__) for rule in rules["rules"])
    assert rules["newest"] == {"quotes": report["accepted"], "warned": report["warned"]} == mill.status()["newest"]
    flagged = {rule["rule"]: rule["newest"] for rule in rules["rules"] if rule["newest"]}
    assert flagged == report["warnings"]
    price = next(rule for rule in rules["rules"] if rule["rule"] == "price_out_of_bounds")
    assert price["settings"] == {"min_price": 1e-12, "max_price": 1e6}
    assert price["bound"] == "< 1e-12, > 1e6"
    with pytest.raises(ValueError, match="days"):
        mill.rules(days=0)


def test_refused_records_are_listed_validated_again_and_the_run_rebuilt(sim: coinmill.Sim, tmp_path: Path) -> None:
    from coinmill.records import Quarantined, Replay, RequeueReport

    strict = coinmill.Mill(
        **sim.settings, data_dir=tmp_path, top=200, completeness=0.0, refuse=["low_volume"], min_volume=1e7
    )
    report = strict.run_snapshot()
    assert report["rejected"] > 1
    assert report["rejections"] == {"low_volume": report["rejected"]}
    refused = strict.quarantine()
    assert len(refused) == report["rejected"]
    assert set(refused[0]) == set(Quarantined.__annotations__)
    assert strict.quarantine([refused[0]["id"]]).to_dicts() == [refused[0]]
    assert not strict.quarantine(rule="zero_price")

    loose = coinmill.Mill(**sim.settings, data_dir=tmp_path, top=200)
    replay = loose.replay(report["run"])
    assert set(replay) == set(Replay.__annotations__)
    assert not replay["is_same"]
    assert replay["rebuilt"] == 200
    assert strict.replay(report["run"])["is_same"]

    (requeued,) = loose.requeue(rule="low_volume")
    assert set(requeued) == set(RequeueReport.__annotations__)
    assert (requeued["state"], requeued["stored"], requeued["refused"]) == ("complete", len(refused), [])
    assert requeued["content_hash"] == replay["rebuilt_hash"]
    assert (loose.requeue(), len(loose.quarantine()), len(loose.quarantine(stored=True))) == ([], 0, len(refused))
    assert loose.replay(requeued["run"])["is_same"]
    for wrong, says in [("12", "s12 or t3"), ("s9999", "no s9999")]:
        with pytest.raises(ValueError, match=says):
            loose.requeue([wrong])
    with pytest.raises(ValueError, match="coinmill runs"):
        loose.replay("no-such-run")


def test_what_is_kept_no_longer_is_told_deleted_and_missing(database: str, tmp_path: Path) -> None:
    from coinmill.records import PrunedPart, PruneReport

    with coinmill.Sim(market_size=20, frozen=True) as sim:
        now = sim.now
        series = f"sqlite://{tmp_path / 'series.db'}"
        mill = coinmill.Mill(**sim.settings, snapshot_url=database, timeseries_url=series, data_dir=tmp_path, top=5)
        mill.init()
        mill.run_snapshot()
        run = mill.run_timeseries()["run"]
        assert mill.prune() == {"kind": "prune", "state": "complete", "is_dry_run": False, "pruned": []}
        with pytest.raises(coinmill.ConfigError, match="at least 1"):
            coinmill.Mill(retention_days_1h=0)

        kept = coinmill.Mill(
            **sim.settings,
            snapshot_url=database,
            timeseries_url=series,
            data_dir=tmp_path,
            top=5,
            retention_days_5m=1,
            retention_days_landing=1,
        )
        sim.set_clock(now + timedelta(days=2))
        kept.run_snapshot()
        kept.run_timeseries()
        dry = kept.prune(dry_run=True)
        assert set(dry) == set(PruneReport.__annotations__)
        assert set(dry["pruned"][0]) == set(PrunedPart.__annotations__)
        points, bodies = dry["pruned"]
        assert (points["what"], bodies["what"], bodies["points"]) == ("5m", "landing", None)
        assert points["points"]
        assert bodies["bodies"] == 6
        before = kept.status()["timeseries"][0]["points"]
        done = kept.prune()
        assert done == {**dry, "is_dry_run": False}
        assert kept.prune()["pruned"][0]["points"] == 0
        assert kept.status()["timeseries"][0]["points"] == before - points["points"]
        start = now - timedelta(hours=12)
        with pytest.warns(coinmill.CoverageWarning, match="by retention_days_5m = 1"):
            frame = kept.prices("bitcoin", start, resolution="5m")
        assert (frame.missing[0]["coin_id"], frame.missing[0]["end"]) == (None, points["before"])
        assert kept.runs()[0]["kind"] == "prune"
        with pytest.raises(coinmill.DataError, match="by retention_days_"):
            kept.replay(run)
        with pytest.raises(ValueError, match="one day only"):
            kept.backfill(days=2, resolution="5m")


def test_a_frozen_contract_stores_nothing_of_what_is_new(sim: coinmill.Sim, tmp_path: Path) -> None:
    mill = coinmill.Mill(**sim.settings, data_dir=tmp_path, top=50, contract="freeze")
    with coinmill.Sim(market_size=300, frozen=True, faults=["set:field=mood,value=1"]) as other:
        frozen = coinmill.Mill(**other.settings, data_dir=tmp_path, top=50, contract="freeze")
        with pytest.raises(coinmill.DataError, match="unknown field mood in 50 records of /coins/markets"):
            frozen.run_snapshot()
        assert frozen.status()["snapshot"]["quotes"] == 0
        evolving = coinmill.Mill(**other.settings, data_dir=tmp_path, top=50, contract="evolve")
        report = evolving.run_snapshot()
        assert (report["state"], report["calls"], report["recovered"]) == ("complete", 0, 1)
        assert [(drift["field"], drift["records"]) for drift in report["drift"]] == [("mood", 50)]
    assert {drift["field"] for drift in mill.status()["drift"]} == {"mood"}


def test_a_slot_is_a_text_or_a_datetime(mill: coinmill.Mill, sim: coinmill.Sim) -> None:
    slot = floor30(sim.now)
    assert mill.run_snapshot(slot)["snapshot_time"] == slot.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    elsewhere = slot.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert mill.run_snapshot(slot=elsewhere.isoformat())["calls"] == 0
    with pytest.raises(ValueError, match="half-hour"):
        mill.run_snapshot(slot + timedelta(minutes=7))
    with pytest.raises(ValueError, match="still to come"):
        mill.run_snapshot(slot + timedelta(minutes=30))
    with pytest.raises(coinmill.PastSlotError, match="is past"):
        mill.run_snapshot(slot - timedelta(minutes=30))
    with pytest.raises(TypeError, match="2026-01-31T00:30Z"):
        mill.run_snapshot(7)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "error", "says"),
    [
        ({"plan": "free"}, coinmill.ConfigError, "use keyless, demo, paid or unlimited"),
        ({"tops": 5}, coinmill.ConfigError, "did you mean"),
        ({"top": "x"}, coinmill.ConfigError, '"x" is not a whole number between 0 and 20000'),
        ({"top": 5, "coins": ["bitcoin"]}, coinmill.ConfigError, "give `add_coins`"),
        ({"top": -1}, coinmill.ConfigError, "top"),
        ({"refuse": "zero_prize"}, coinmill.ConfigError, "no warning rule zero_prize: give .*zero_price"),
        ({"top": True}, TypeError, "not a bool"),
        ({"coins": ["bit coin"]}, coinmill.ConfigError, "give CoinGecko's, such as bitcoin"),
        ({"config": "absent.toml"}, coinmill.ConfigError, "absent.toml cannot be read"),
        ({"data_dir": ""}, coinmill.ConfigError, "data_dir: it is empty: name a folder, such as coinmill-data"),
        ({"data_dir": "a\ud800"}, ValueError, r"'a\\ud800' holds half of a surrogate pair"),
    ],
)
def test_a_wrong_setting_is_refused_at_once(settings: dict[str, object], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        coinmill.Mill(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda mill: mill.universe(top=-1), ValueError, "^top: -1 is not a whole number of at least 1"),
        (lambda mill: mill.universe(0), ValueError, "^top: 0 is not"),
        (lambda mill: mill.search("usdc", limit=-1), ValueError, "^limit: -1 is not a whole number of at least 1"),
        (lambda mill: mill.search("usdc", 10**30), ValueError, "^limit: 1000000000000000000000000000000 is not"),
        (lambda mill: mill.runs(-1), ValueError, "^limit: -1 is not"),
        (lambda mill: mill.runs(10**6000), ValueError, "^limit: such a number is not"),
        (lambda mill: mill.runs("many"), TypeError, "^limit: 'many' is not a whole number of at least 1"),
        (lambda mill: mill.runs(2.5), TypeError, "2.5 is not a whole number"),
        (lambda mill: mill.runs(True), TypeError, "True is not a whole number"),
        (lambda mill: mill.rules(days=0), ValueError, "^days: 0 is not a whole number between 1 and 36525"),
        (lambda mill: mill.backfill(days=-7), ValueError, "^days: -7 is not"),
        (lambda mill: mill.backfill(days=1, spend=-1), ValueError, "^spend: -1 is not a whole number of at least 0"),
        (lambda mill: mill.heal(spend=-1), ValueError, "^spend: -1 is not"),
        (lambda _: coinmill.Sim(market_size=-1), ValueError, "^market_size: -1 is not a whole number of at least 0"),
        (lambda _: coinmill.Sim(port=70_000), ValueError, "^port: 70000 is not a whole number between 0 and 65535"),
        (lambda _: coinmill.Sim(seed=-1), ValueError, "^seed: -1 is not"),
        (lambda _: coinmill.Sim(clock="text"), ValueError, '^clock: "text" is not a time: write it like 2026-01-31'),
        (lambda _: coinmill.Sim(clock=5), TypeError, "^clock: an instant is a datetime"),  # type: ignore[arg-type]
        (lambda mill: mill.search("\ud800"), ValueError, r"^'\\ud800' holds half of a surrogate pair"),
        (lambda mill: mill.resolve("\ud800" * 500), ValueError, r"^'(\\ud800)+.*\u2026 holds half"),
        (lambda mill: mill.prices("bitcoin,\udfff"), ValueError, "holds half of a surrogate pair"),
        (lambda mill: mill.quotes(coins=["bitcoin", "\udfff"]), ValueError, "holds half of a surrogate pair"),
        (lambda mill: mill.explain("\udfff", "2026-01-31"), ValueError, "holds half of a surrogate pair"),
    ],
)
def test_a_wrong_argument_is_named_with_what_is_right(
    call: Callable[[coinmill.Mill], object], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says) as refused:
        call(coinmill.Mill())
    assert type(refused.value) is error


def test_what_none_means_is_kept() -> None:
    with pytest.raises(coinmill.ConfigError, match="coinmill"):
        coinmill.Mill(data_dir="nothing").universe(top=None)
    with coinmill.Sim(clock="2026-01-31T00:30Z", frozen=True, market_size=numpy.int64(5)) as sim:  # type: ignore[arg-type]
        assert sim.now == datetime(2026, 1, 31, 0, 30, tzinfo=timezone.utc)
        sim.set_clock("2026-02-01")
        assert sim.now == datetime(2026, 2, 1, tzinfo=timezone.utc)


def test_settings_come_as_the_types_that_people_have(tmp_path: Path) -> None:
    mill = coinmill.Mill(data_dir=tmp_path, top=5, add_coins=["bitcoin", "ethereum"], completeness=0.5, api_key=None)
    assert repr(mill) == (
        f"Mill(plan='keyless', top=5, vs_currency='usd', snapshot_url='sqlite://{tmp_path / 'snapshot.db'}')"
    )


def test_each_error_has_its_class_and_says_whether_it_may_pass(sim: coinmill.Sim, tmp_path: Path) -> None:
    sim.add_fault("500:times=0")
    with pytest.raises(coinmill.SourceError, match="500") as refused:
        coinmill.Mill(**sim.settings, attempts=1).run_snapshot()
    assert (refused.value.status, refused.value.retryable) == (500, True)
    assert isinstance(refused.value, coinmill.CoinmillError)
    with pytest.raises(coinmill.ConfigError, match="coinmill run snapshot") as missing:
        coinmill.Mill(data_dir=tmp_path / "nothing").runs()
    assert missing.value.retryable is False
    (tmp_path / "snapshot.db").write_bytes(b"this is no database, but it is long enough to be taken for one" * 20)
    with pytest.raises(coinmill.StoreError, match="damaged"):
        coinmill.Mill(data_dir=tmp_path).runs()


def test_an_incomplete_run_raises_with_its_report_and_keeps_what_came(sim: coinmill.Sim) -> None:
    mill = coinmill.Mill(**sim.settings, top=300, attempts=1)
    sim.add_fault("503:times=0,after=1")
    with pytest.raises(coinmill.IncompleteError, match="ranks 151 to 300") as short:
        mill.run_snapshot()
    assert (short.value.report["state"], short.value.report["stored"], short.value.retryable) == ("partial", 150, True)
    sim.clear_faults()
    report = mill.run_snapshot()
    assert (report["state"], report["stored"], report["calls"], report["recovered"]) == ("complete", 150, 1, 1)


def test_a_mill_survives_pickling_with_its_settings(
    mill: coinmill.Mill, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COINMILL_SNAPSHOT_URL", database)
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        copy = pickle.loads(pickle.dumps(mill, protocol))
        assert repr(copy) == repr(mill)
    assert copy.run_snapshot()["state"] == "complete"


def run_in_child(mill: coinmill.Mill, results: multiprocessing.SimpleQueue[int]) -> None:
    results.put(mill.run_snapshot()["stored"])


def test_a_forked_process_can_run_what_its_parent_has_run(mill: coinmill.Mill) -> None:
    mill.run_snapshot()
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    child = context.Process(target=run_in_child, args=(mill, results))
    child.start()
    child.join(60)
    assert child.exitcode == 0
    assert results.get() == 0


def test_log_records_reach_python_under_their_own_names(mill: coinmill.Mill, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="coinmill"):
        mill.run_snapshot()
    said = [record for record in caplog.records if record.name.startswith("coinmill.pipeline")]
    assert any("complete, 50 of 50 coins" in record.getMessage() for record in said)


def test_the_interpreter_is_free_and_a_signal_ends_a_call(sim: coinmill.Sim) -> None:
    """The market stalls for ever; another thread sees that the call is under way and interrupts it."""
    sim.add_fault("stall:times=0")
    mill = coinmill.Mill(**sim.settings, attempts=1, timeout=60)

    class Interrupted(Exception):
        pass

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise Interrupted

    def when_called() -> None:
        while sim.calls == 0:
            pass
        signal.raise_signal(signal.SIGUSR1)

    previous = signal.signal(signal.SIGUSR1, interrupt)
    watcher = threading.Thread(target=when_called)
    try:
        watcher.start()
        with pytest.raises(Interrupted):
            mill.run_snapshot()
    finally:
        watcher.join()
        signal.signal(signal.SIGUSR1, previous)
    sim.clear_faults()
    assert mill.run_snapshot()["state"] == "complete"
    assert [run["state"] for run in mill.runs()] == ["complete", "abandoned"]


def test_importing_starts_no_thread() -> None:
    code = "import threading, os, coinmill; print(len(os.listdir('/proc/self/task')))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "1"


def test_the_command_of_the_wheel_is_the_command(sim: coinmill.Sim, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "coinmill", "demo", "--data-dir", str(tmp_path / "demo")]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "250 of 250" in done.stdout
    assert done.stderr == ""
    wrong = subprocess.run([sys.executable, "-m", "coinmill", "fly"], capture_output=True, text=True)
    assert wrong.returncode == 2
    assert "fly" in wrong.stderr


def test_the_demo_returns_its_report(tmp_path: Path) -> None:
    first = coinmill.demo(tmp_path)
    assert (first["snapshot"]["state"], first["timeseries"]["state"]) == ("complete", "complete")
    assert first["timeseries"]["stored"] > 250 * 200


def test_a_stopped_market_says_so(sim: coinmill.Sim) -> None:
    sim.stop()
    with pytest.raises(RuntimeError, match="stopped"):
        sim.now  # noqa: B018
    assert sim.url.startswith("http://127.0.0.1:")


def test_the_doctor_finds_what_is_wrong_and_the_settings_tell_their_origin(
    sim: coinmill.Sim, mill: coinmill.Mill, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = mill.doctor()
    assert found["state"] == "ok", found
    assert {check["check"] for check in found["checks"]} >= {"snapshot database", "landing", "clock", "API"}
    assert "API" not in {check["check"] for check in mill.doctor(offline=True)["checks"]}
    (tmp_path / "file").write_text("")
    broken = coinmill.Mill(**sim.settings, landing_dir=tmp_path / "file").doctor(offline=True)
    assert broken["state"] == "failed"
    monkeypatch.setenv("COINMILL_CHART_TOP", "3")
    settings = {setting["name"]: setting for setting in coinmill.Mill(top=7, api_key="CG-hush").config()["settings"]}
    assert settings["top"] == {"name": "top", "value": "7", "origin": "argument", "place": None}
    assert settings["chart_top"]["place"] == "COINMILL_CHART_TOP"
    assert settings["api_key"]["value"] == "***"


def test_a_run_is_rebuilt_by_the_end_of_its_id(mill: coinmill.Mill) -> None:
    run = mill.run_snapshot()["run"]
    assert mill.replay(run[-12:])["run"] == run
    with pytest.raises(ValueError, match="there is no run"):
        mill.replay("ffffffffffff")
